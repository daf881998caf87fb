"""Sections, notes, empty states: how every page is laid out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

GAP = 10
"""Pixels between parts."""
Severity = Literal["success", "info", "warning", "error"]


def section(
    title: str, *content: Any, note: str = "", min_height: int | None = None, **options: Any
) -> Viewable:
    """Return a framed part of a page with a heading.

    Args:
        title: heading.
        content: what it holds, from top to bottom.
        note: one or two sentences under the heading.
        min_height: pixels that are kept free, so that nothing below jumps when it fills.
        options: of the layout.
    """
    head: list[Any] = (
        [pmui.Typography(title, variant="h6", margin=(2, GAP), sx={"fontSize": "1.05rem"})] if title else []
    )
    if note:
        head.append(muted(note))
    return pmui.Paper(
        *head,
        *content,
        elevation=0,
        variant="outlined",
        sizing_mode="stretch_width",
        margin=options.pop("margin", GAP),
        sx={
            "padding": "10px 8px",
            "overflow": "hidden",
            "maxWidth": "100%",
            "boxSizing": "border-box",
            "minHeight": f"{min_height or 0}px",
        },
        **options,
    )


def muted(text: str, **options: Any) -> Viewable:
    """Return a short explanation in a quiet colour. Text is shown literally."""
    return pmui.Typography(
        literal(text),
        variant="body2",
        margin=options.pop("margin", (0, GAP, 6, GAP)),
        sx={"color": "text.secondary", "overflowWrap": "anywhere"},
        sizing_mode="stretch_width",
        **options,
    )


def empty(text: str, *actions: Viewable) -> Viewable:
    """Return what an empty part shows: what it is for and what to do next."""
    return pmui.Column(
        pmui.Typography(
            literal(text),
            variant="body2",
            sx={"color": "text.secondary", "textAlign": "center"},
            align="center",
        ),
        *actions,
        sizing_mode="stretch_width",
        align="center",
        margin=(24, GAP),
        css_classes=["moma-empty"],
    )


def alert(severity: Severity, *lines: str, title: str = "", links: str = "", **options: Any) -> Viewable:
    """Return what must not be overlooked: that something failed, was left out, or is done.

    Args:
        severity: how much it matters.
        lines: sentences below each other, shown literally.
        title: stands above them.
        links: HTML that follows the last line.
        options: of the alert.
    """
    return pmui.Alert(
        title=title,
        object="<br>".join(map(literal, lines)) + links,
        severity=severity,
        sizing_mode="stretch_width",
        **options,
    )


def columns(*parts: Viewable, widths: Sequence[int] | None = None) -> Viewable:
    """Return parts side by side; they go below each other where the page is narrow.

    Args:
        parts: from left to right.
        widths: in twelfths of the page, from 900 px up; equal by default.
    """
    shares = widths or [12 // len(parts)] * len(parts)
    cells = [
        pmui.Grid(part, size={"xs": 12, "md": share}, sizing_mode="stretch_width")
        for part, share in zip(parts, shares, strict=True)
    ]
    return pmui.Grid(*cells, container=True, spacing=0, sizing_mode="stretch_width", margin=0)


def below(*parts: Viewable | Viewer) -> Viewable:
    """Return parts below each other, such as those of one column."""
    return pn.Column(*parts, sizing_mode="stretch_width", margin=0)


def row(*parts: Any, **options: Any) -> Viewable:
    """Return small parts in a line that wraps."""
    return pmui.FlexBox(*parts, align_items="center", sizing_mode="stretch_width", **options)


def literal(text: str) -> str:
    """Return text as it has to be given to a part that takes Markdown or HTML, to be shown as it is.

    Formulas, file names and messages come from anywhere. Every character that could mean something is
    written as its number, which both languages read as the character itself.
    """
    return re.sub(r"[^\w\s,;:°·×–−…/%]|_", lambda found: f"&#{ord(found.group())};", text)


def fold(title: str, *content: Any, opened: bool = False) -> Viewable:
    """Return something behind a fold."""
    return pn.Card(
        *content,
        title=fold_title(title),
        collapsed=not opened,
        sizing_mode="stretch_width",
        margin=GAP,
        hide_header=False,
        stylesheets=[_FOLD],
    )


def fold_title(title: str) -> str:
    """Return a fold's title as its ``title`` takes it: Panel puts that into a large heading."""
    return f'<span style="{_FOLD_TITLE}">{literal(title)}</span>'


_FOLD = """
:host(.card) { box-shadow: none; border: 1px solid var(--mui-palette-divider, #ccc); border-radius: 6px; outline: none;
               background: transparent; }
.card-header { padding: 2px 8px; background: transparent; }
"""
_FOLD_TITLE = "display: block; margin: -8px 0; font-size: 13px; font-weight: 500; line-height: 1.5"
