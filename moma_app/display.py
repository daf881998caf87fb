"""Pieces of what a notebook shows of an object (``_repr_html_``): light and dark, no scripts, nothing loaded.

Each room puts its own objects together from these, in a file ``display.py`` that is imported when a
notebook asks. Colours come from JupyterLab or VS Code where they are given; where styles are not
allowed (a notebook that is not trusted), tables and words remain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from moma_app.markup import Child, Markup, element, join, table

ACCENTS = {"light": ("#0072b2", "#d55e00"), "dark": ("#56b4e9", "#e69f00")}
"""First and second colour of data by mode, those of the figures."""
LINES = ("first", "second")
"""Classes of a first and a second line."""
_DARK = ('[data-jp-theme-light="false"] .moma', ".vscode-dark .moma", 'html[theme="dark"] .moma')
_GREY = "rgba(127,127,127,%s)"
CSS = f"""
.moma {{ --moma-first: {ACCENTS["light"][0]}; --moma-second: {ACCENTS["light"][1]}; --moma-good: #1b7f3b;
  --moma-bad: #c62828; --moma-line: var(--jp-border-color2, {_GREY % 0.35});
  --moma-track: {_GREY % 0.18}; max-width: 60rem; padding: 2px 0; color: var(--jp-ui-font-color1, inherit);
  font: 13px/1.5 var(--jp-ui-font-family, system-ui, sans-serif); font-variant-numeric: tabular-nums; }}
{", ".join(_DARK)} {{ --moma-first: {ACCENTS["dark"][0]}; --moma-second: {ACCENTS["dark"][1]}; --moma-good: #6fcf8a;
  --moma-bad: #ff8a80; }}
.moma .muted, .moma th, .moma caption {{ opacity: .72; }}
.moma .head {{ border-bottom: 1px solid var(--moma-line); padding-bottom: 3px; margin-bottom: 5px; }}
.moma .head strong {{ font-size: 15px; margin-right: .5em; overflow-wrap: anywhere; }}
.moma .kind {{ float: right; margin-left: 1em; }}
.moma .facts {{ display: flex; flex-wrap: wrap; gap: 0 1.4em; margin: 2px 0; }}
.moma .facts .name {{ opacity: .72; margin-right: .4em; }}
.moma .beside {{ display: flex; flex-wrap: wrap; gap: 4px 28px; align-items: flex-start; margin: 4px 0; }}
.moma .beside > div:last-child {{ flex: 1 1 280px; min-width: 0; }} .moma .facts .bar {{ margin-left: 8px; }}
.moma .scroll {{ overflow-x: auto; margin: 5px 0; }}
.moma.moma table {{ border-collapse: collapse; margin: 0; font-size: 13px; width: auto; }}
.moma.moma caption {{ text-align: left; padding: 0 0 2px; caption-side: top; color: inherit; }}
.moma.moma th, .moma.moma td {{ text-align: left; padding: 1px 18px 1px 0; vertical-align: baseline;
  border: 0; max-width: 40em; overflow-wrap: break-word; white-space: normal; }}
.moma.moma th {{ font-weight: 500; }} .moma.moma th, .moma.moma .number {{ white-space: nowrap; }}
.moma.moma thead {{ border-bottom: 1px solid var(--moma-line); }}
.moma.moma tbody tr:nth-child(n) {{ background: none; border-top: 1px solid {_GREY % 0.12}; }}
.moma.moma .number {{ text-align: right; }}
.moma .bar {{ display: inline-block; width: 84px; height: 9px; background: var(--moma-track);
  border-radius: 2px; overflow: hidden; text-align: left; vertical-align: baseline; }}
.moma .bar > span {{ display: block; height: 100%; background: var(--moma-first); print-color-adjust: exact; }}
.moma .bar.second > span {{ background: var(--moma-second); opacity: .75; }}
.moma .good {{ color: var(--moma-good); }} .moma .bad {{ color: var(--moma-bad); }}
.moma code {{ font-size: 12px; background: var(--moma-track); padding: 0 4px; border-radius: 3px; }}
.moma figure {{ margin: 2px 0; }} .moma figcaption {{ font-size: 12px; line-height: 1.35; max-width: 240px; }}
.moma figcaption > span {{ opacity: .72; }}
.moma .first {{ color: var(--moma-first); }} .moma .second {{ color: var(--moma-second); }}
.moma svg {{ display: block; overflow: visible; }}
.moma svg .first {{ stroke: var(--moma-first); }} .moma svg .second {{ stroke: var(--moma-second); }}
.moma svg .fill {{ fill: var(--moma-first); }} .moma svg .axis {{ stroke: currentColor; opacity: .35; }}
.moma details {{ margin: 2px 0; }} .moma summary {{ cursor: pointer; opacity: .8; }}
.moma p {{ margin: 2px 0; }}
"""


def show(kind: str, name: str, about: str, *parts: Child) -> str:
    """Return what a notebook shows of an object.

    Args:
        kind: what it is, such as ``Module``.
        name: which one.
        about: what it is, in words.
        parts: below one another; empty ones are left out.
    """
    head = element(
        "div",
        element("span", kind, class_="kind muted"),
        element("strong", name),
        element("span", about),
        class_="head",
    )
    style = element("style", Markup(CSS))
    return str(element("div", style, head, *(part for part in parts if part), class_="moma"))


def facts(*pairs: tuple[str, Child]) -> Markup:
    """Return facts with their names, in lines that break where they must; those without a value are left out."""
    shown = [
        element("span", element("span", name, class_="name"), value) if name else element("span", value)
        for name, value in pairs
        if value
    ]
    return element("div", *shown, class_="facts") if shown else Markup()


def beside(*parts: Child) -> Markup:
    """Put parts side by side, where there is room."""
    shown = [element("div", part) for part in parts if part]
    return element("div", *shown, class_="beside") if shown else Markup()


def note(*words: Child, class_: str = "muted") -> Markup:
    """Return a sentence below the rest."""
    return element("p", *words, class_=class_)


def code(text: str) -> Markup:
    """Return what can be typed."""
    return element("code", text)


def rows_table(
    head: Sequence[Child],
    rows: Sequence[Sequence[Child]],
    *,
    numbers: Iterable[int] = (),
    total: int | None = None,
    what: str = "row",
    caption: str = "",
) -> Markup:
    """Return a table, and how many rows are not shown.

    Args:
        head: column titles.
        rows: cells of the shown rows.
        numbers: columns that hold numbers.
        total: how many rows there are in all; those shown, if not given.
        what: a row is, in words.
        caption: above the table.
    """
    if not rows:
        return Markup()
    hidden = (total or len(rows)) - len(rows)
    more = note(f"… and {hidden:,} more {what}{'' if hidden == 1 else 's'}") if hidden > 0 else ""
    return join([table(head, rows, numbers=numbers, caption=caption), more])


def bar(share: float | None, *, second: bool = False) -> Markup:
    """Return a small bar for a share between 0 and 1; nothing for what is not known."""
    if share is None or not math.isfinite(share):
        return Markup()
    percent = 100 * min(1.0, max(0.0, share))
    filled = element("span", style=f"width:{percent:.1f}%")
    return element("span", filled, class_="bar second" if second else "bar")


def curves(
    lines: Sequence[Sequence[float]],
    *,
    names: Sequence[str],
    label: str,
    mark: int | None = None,
    size: tuple[int, int] = (240, 56),
) -> Markup:
    """Return one or two lines over their number as an inline drawing; nothing for fewer than two points.

    Args:
        lines: values of each line; what is not finite is left out.
        names: of the lines.
        label: what is drawn, for those who do not see it, and below the names.
        mark: number of the point of the last line that matters.
        size: width and height in pixels.
    """
    known = [value for line in lines for value in line if math.isfinite(value)]
    longest = max((len(line) for line in lines), default=0)
    if longest < 2 or not known:
        return Markup()
    width, height = size
    low, high = min(known), max(known)
    span = (high - low) or 1.0

    def place(number: int, value: float) -> tuple[float, float]:
        return 2 + (width - 4) * number / (longest - 1), 2 + (height - 4) * (high - value) / span

    drawn: list[Markup] = [_line(1, height - 1, width - 1, height - 1)]
    for position, line in enumerate(lines[:2]):
        points = [place(n, value) for n, value in enumerate(line) if math.isfinite(value)]
        drawn.append(
            element(
                "polyline",
                points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points),
                class_=LINES[position],
                fill="none",
                stroke_width="1.6",
            )
        )
    last = lines[:2][-1]
    if mark is not None and 0 <= mark < len(last) and math.isfinite(last[mark]):
        x, y = place(mark, last[mark])
        kind = LINES[min(len(lines), 2) - 1]
        drawn.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3", class_=kind, fill="none"))
    legend = join([element("b", name, class_=kind) for name, kind in zip(names, LINES, strict=False)], " ")
    return _figure(drawn, label, size, legend)


def columns(counts: Sequence[int], *, label: str, size: tuple[int, int] = (240, 56)) -> Markup:
    """Return counts as columns side by side, as an inline drawing; nothing if all are zero."""
    most = max(counts, default=0)
    if most <= 0:
        return Markup()
    width, height = size
    step = width / len(counts)
    drawn = [_line(0, height - 0.5, width, height - 0.5)]
    for number, count in enumerate(counts):
        if not count:
            continue
        tall = max(1.0, (height - 2) * count / most)  # what is there can be seen
        drawn.append(
            element(
                "rect",
                x=f"{number * step + 0.5:.1f}",
                y=f"{height - 1 - tall:.1f}",
                width=f"{max(step - 1, 1):.1f}",
                height=f"{tall:.1f}",
                class_="fill",
            )
        )
    return _figure(drawn, label, size)


def parity(true: Sequence[float], predicted: Sequence[float], *, label: str, side: int = 140) -> Markup:
    """Return predictions over targets with the diagonal, as an inline drawing; nothing without two of them.

    Args:
        true, predicted: of the same rows; at most 400, evenly chosen, are drawn.
        label: what is drawn.
        side: of the square in pixels.
    """
    pairs = [(x, y) for x, y in zip(true, predicted, strict=True) if math.isfinite(x) and math.isfinite(y)]
    pairs = pairs[:: max(1, math.ceil(len(pairs) / 400))]
    values = [value for pair in pairs for value in pair]
    if len(pairs) < 2 or min(values) == max(values):
        return Markup()
    low, span = min(values), max(values) - min(values)

    def place(value: float) -> float:
        return 3 + (side - 6) * (value - low) / span

    drawn = [_line(3, side - 3, side - 3, 3)]
    drawn += [
        element(
            "circle",
            cx=f"{place(x):.1f}",
            cy=f"{side - place(y):.1f}",
            r="1.8",
            class_="fill",
            fill_opacity="0.55",
        )
        for x, y in pairs
    ]
    return _figure(drawn, label, (side, side))


def _line(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return element("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_="axis")


def _figure(drawn: Sequence[Markup], label: str, size: tuple[int, int], legend: Child = "") -> Markup:
    width, height = size
    svg = element(
        "svg",
        *drawn,
        width=str(width),
        height=str(height),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
    )
    return element(
        "figure", svg, element("figcaption", legend, " " if legend else "", element("span", label))
    )
