"""Figures as HTML in which nothing runs: bars in a table, learning curves, heat maps, for where there are no scripts."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from moma_app.markup import Child, Markup, element, join
from moma_app.plots.bar_values import TOP, module_bars
from moma_app.plots.text import column, number, weight_text, with_unit
from moma_app.plots.theme import COLORS, series_color

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.plots.insight_order import Order
    from moma_app.plots.insight_values import Insights
    from moma_app.plots.payloads import Curves

_BAR = 140
"""Pixels of the longest bar."""
_GREY = "#808a94"
"""Lines and text that can be read on white and on black."""
_CELL = "padding:2px 14px 2px 0;text-align:left;border-bottom:1px solid rgba(128,138,148,.3)"


def still_table(
    head: Sequence[str], rows: Sequence[Sequence[Child]], *, numbers: Sequence[int] = ()
) -> Markup:
    """Return a table with its look in it, so that it needs no style sheet.

    Args:
        head: column titles.
        rows: cells.
        numbers: columns that are set to the right.
    """

    def cell(name: str, content: Child, place: int) -> Markup:
        right = ";text-align:right;font-variant-numeric:tabular-nums" if place in numbers else ""
        return element(name, content, style=f"{_CELL}{right}")

    lines = [
        element("tr", *(cell("td", content, place) for place, content in enumerate(line))) for line in rows
    ]
    titles = element("tr", *(cell("th", title, place) for place, title in enumerate(head)))
    return element(
        "table",
        element("thead", titles),
        element("tbody", *lines),
        style="border-collapse:collapse;font-size:12px;margin:4px 0",
    )


def still_weights(result: AMCResult, *, top: int = TOP) -> Markup:
    """Return the weights of a composition as bars in a table, with proxy errors; see ``weight_bars``."""
    data = module_bars(result, "weight", top)
    longest = max((bar.weight or 0.0 for bar in data.bars), default=0.0) or 1.0
    errors = column([bar.proxy_mae for bar in data.bars])
    rows: list[list[Child]] = [
        [
            bar.module,
            bar.predicts,
            join([_bar((bar.weight or 0.0) / longest), weight_text(bar.weight or 0.0)]),
            error,
        ]
        for bar, error in zip(data.bars, errors, strict=True)
    ]
    head = ["Module", "Predicts", "Weight", with_unit("Proxy MAE", data.unit)]
    return join([still_table(head, rows, numbers=[3]), element("p", data.note) if data.note else ""])


def _bar(share: float) -> Markup:
    look = (
        f"display:inline-block;width:{_BAR * share:.0f}px;height:9px;border-radius:1px;"
        f"background:{series_color(0, 'light')};margin-right:{'6' if share else '0'}px"
    )
    return element("span", style=look)


def still_curves(data: Curves, *, width: int = 520, height: int = 220) -> Markup:
    """Return learning curves as an SVG: validation solid, training dashed, a ring where weights were kept."""
    left, right, top, bottom = 70, 12, 12, 40
    epochs = [epoch for line in data.series for epoch in line.epochs]
    errors = [value for line in data.series for value in (*line.train, *line.validation)]
    known = [value for value in errors if math.isfinite(value) and (value > 0 or not data.log)]
    if not known:
        return element("p", "There is no learning curve yet.")
    first, last = min(epochs), max(*epochs, min(epochs) + 1)
    change = math.log if data.log else float
    low, high = min(known), max(known)
    start, end = change(low), change(high)
    margin = 0.06 * (end - start) or 0.5
    start, end = start - margin, end + margin

    def place(epoch: float, error: float) -> tuple[str, str]:
        x = left + (width - left - right) * (epoch - first) / (last - first)
        y = top + (height - top - bottom) * (end - change(error)) / (end - start)
        return f"{x:.1f}", f"{y:.1f}"

    def text(x: float, y: float, words: str, anchor: str, **more: str) -> Markup:
        return element(
            "text", words, x=f"{x}", y=f"{y}", fill=_GREY, font_size="11", text_anchor=anchor, **more
        )

    pieces = [
        element(
            "rect",
            x=f"{left}",
            y=f"{top}",
            width=f"{width - left - right}",
            height=f"{height - top - bottom}",
            fill="none",
            stroke=_GREY,
            stroke_opacity="0.4",
        ),
        text(left, height - 24, f"{first}", "middle"),
        text(width - right, height - 24, f"{last}", "end"),
        text((left + width - right) / 2, height - 8, "Epoch", "middle"),
        text(
            14,
            (top + height - bottom) / 2,
            data.error,
            "middle",
            transform=f"rotate(-90 14 {(top + height - bottom) / 2})",
        ),
    ]
    pieces += [
        text(left - 5, float(place(first, value)[1]) + 4, number(value), "end") for value in (low, high)
    ]
    for index, line in enumerate(data.series):
        color = series_color(index, "light")
        for values, dash in ((line.train, "4 3"), (line.validation, "")):
            drawable = [
                (epoch, error)
                for epoch, error in zip(line.epochs, values, strict=True)
                if math.isfinite(error) and (error > 0 or not data.log)
            ]
            points = " ".join(",".join(place(*point)) for point in drawable)
            pieces.append(
                element(
                    "polyline",
                    points=points,
                    fill="none",
                    stroke=color,
                    stroke_width="1.7",
                    stroke_dasharray=dash or "none",
                )
            )
        if line.best is not None and math.isfinite(line.best[1]):
            x, y = place(*line.best)
            pieces.append(element("circle", cx=x, cy=y, r="4", fill="none", stroke=color, stroke_width="2"))
    return element(
        "svg",
        element("title", "Learning curve: validation solid, training dashed"),
        *pieces,
        xmlns="http://www.w3.org/2000/svg",
        width=f"{width}",
        height=f"{height}",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )


def still_map(insights: Insights, *, order: Order = "name") -> Markup:
    """Return a heat map as a picture, in light colours."""
    from moma_app.plots.heatmap_export import to_svg

    packed = base64.b64encode(to_svg(insights, order=order).encode()).decode()
    return element(
        "img",
        src=f"data:image/svg+xml;base64,{packed}",
        alt="Heat map of hub modules and tasks",
        style=f"max-width:100%;background:{COLORS['light'].surface};padding:8px",
    )


def sparkline(values: Sequence[float], words: str, *, width: int = 92, height: int = 26) -> Markup:
    """Return a small curve without axes; empty for fewer than two values.

    Args:
        values: from left to right.
        words: what the curve is.
        width, height: in pixels.
    """
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    points = " ".join(
        f"{2 + (width - 4) * place / (len(values) - 1):.1f},{2 + (height - 4) * (high - value) / span:.1f}"
        for place, value in enumerate(values)
    )
    return element(
        "svg",
        element("title", words),
        element("polyline", points=points, fill="none", stroke=series_color(0, "light"), stroke_width="1.5"),
        width=f"{width}",
        height=f"{height}",
        viewBox=f"0 0 {width} {height}",
        role="img",
        class_="moma-spark",
    )
