"""HTML built from elements: text is escaped because nothing but :class:`Markup` is taken as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Markup(str):
    """A piece of HTML that is safe to insert as it stands."""

    __slots__ = ()


Child = str | Markup
_EMPTY = frozenset({"meta", "br", "hr", "img"})


def escape(text: str) -> Markup:
    """Return text as HTML; :class:`Markup` stays as it is.

    Control characters, which HTML does not allow, are dropped.
    """
    if isinstance(text, Markup):
        return text
    kept = "".join(c for c in text if c in "\n\t" or (ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF))
    return Markup(html.escape(kept, quote=True))


def join(children: Iterable[Child], separator: Child = "") -> Markup:
    """Put pieces after one another."""
    return Markup(escape(separator).join(escape(child) for child in children))


def element(name: str, /, *children: Child, **attributes: str) -> Markup:
    """Return an element; its text and its attributes are escaped.

    Args:
        name: of the element, written by us.
        children: text, or markup.
        attributes: by name; a trailing ``_`` is dropped (``class_``), other ``_`` become ``-``.
    """
    head = name + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(escape_text(value), quote=True)}"'
        for key, value in attributes.items()
    )
    if name in _EMPTY:
        return Markup(f"<{head}>")
    return Markup(f"<{head}>{join(children)}</{name}>")


def escape_text(text: str) -> str:
    """Drop the characters that HTML does not allow."""
    return html.unescape(escape(str(text)))


def table(
    head: Iterable[Child], rows: Iterable[Iterable[Child]], *, numbers: Iterable[int] = (), caption: str = ""
) -> Markup:
    """Return a table that scrolls sideways where it must.

    Args:
        head: column titles.
        rows: cells.
        numbers: columns that hold numbers, which are set to the right.
        caption: read before the table.
    """
    right = set(numbers)

    def cells(name: str, values: Iterable[Child]) -> Markup:
        return join(
            element(name, value, **({"class_": "number"} if column in right else {}))
            for column, value in enumerate(values)
        )

    body = element(
        "table",
        element("caption", caption) if caption else "",
        element("thead", element("tr", cells("th", head))),
        element("tbody", *(element("tr", cells("td", row)) for row in rows)),
    )
    return element("div", body, class_="scroll", tabindex="0")


def fold(summary: Child, *children: Child) -> Markup:
    """Return content behind a summary that opens it."""
    return element("details", element("summary", summary), *children)
