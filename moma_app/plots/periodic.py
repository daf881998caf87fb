"""Values by element, as a map over the periodic table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from moma_app.errors import InputError
from moma_app.plots.drawing import PLAIN_TOOLS, color_bar, holoviews, hover, in_our_font
from moma_app.plots.elements import COLUMNS, PLACES, ROWS
from moma_app.plots.shades import readable_on, shade, shades
from moma_app.plots.text import number, plain, shorten, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, Mode, styled

WIDTH = 880
LOG_RATIO = 20.0
"""Values that span more than this factor have logarithmic shades."""
_EDGES = ["left", "bottom", "right", "top"]


def periodic_table(
    values: Mapping[str, float],
    quantity: str,
    unit: str,
    *,
    counts: Mapping[str, int] | None = None,
    mode: Mode = "light",
) -> Any:
    """Draw a value for each element, as a shade and a number at its place in the periodic table.

    Args:
        values: by element symbol; elements without a finite value stay blank.
        quantity, unit: of the values ("Mean absolute error", "eV/atom"; "Structures", "").
        counts: how many structures a value is the mean of, for the hover box.
        mode: light or dark.

    Raises:
        InputError: no known element has a finite value.
    """
    hv = holoviews()
    colors = COLORS[mode]
    shown = {
        symbol: float(value) for symbol, value in values.items() if symbol in PLACES and math.isfinite(value)
    }
    if not shown:
        raise InputError("No element has a value to draw in the periodic table.")
    low, high, log = _scale(shown)
    blank = [symbol for symbol in PLACES if symbol not in shown]
    unit = plain(unit)
    table = {
        **_edges(list(shown)),
        "shown": list(shown.values()),
        "element": list(shown),
        "text": [with_unit_after(value, unit) for value in shown.values()],
        "count": ["–" if counts is None else f"{counts.get(symbol, 0):,}" for symbol in shown],
    }
    name = shorten(plain(quantity) or "value", 60)
    ticks = [low, math.sqrt(low * high) if log else (low + high) / 2, high]
    layers = [
        hv.Rectangles(_edges(blank), _EDGES).opts(
            fill_color=colors.surface, line_color=colors.grid, line_width=1, **PLAIN_TOOLS
        ),
        hv.Rectangles(table, _EDGES, ["shown", "element", "text", "count"]).opts(
            color="shown",
            cmap=list(shades(mode)),
            cnorm="log" if log else "linear",
            clim=(low, high),
            line_color=colors.surface,
            line_width=1,
            tools=[_box(with_counts=counts is not None)],
            **color_bar(with_unit(name, unit), {tick: _short(tick) for tick in ticks}, mode),
            **PLAIN_TOOLS,
        ),
        *_texts(shown, blank, (low, high, log), mode),
    ]
    return hv.Overlay(layers).opts(
        xaxis=None,
        yaxis=None,
        xlim=(-0.55, COLUMNS - 0.45),  # with the outermost lines
        ylim=(-ROWS + 0.45, 0.55),
        responsive=True,
        aspect=COLUMNS / ROWS,
        min_width=560,
        max_width=WIDTH,
        show_legend=False,
        toolbar=None,
        hooks=[styled(mode, Plot={"min_border_left": 28}, Grid={"grid_line_color": None})],
        **PLAIN_TOOLS,
    )


def _scale(values: Mapping[str, float]) -> tuple[float, float, bool]:
    """Return the ends of the shades, and whether they are logarithmic."""
    low, high = min(values.values()), max(values.values())
    if low == high:
        margin = 0.1 * abs(low) or 1.0
        return low - margin, high + margin, False
    return low, high, low > 0 and high > LOG_RATIO * low


def _level(value: float, scale: tuple[float, float, bool]) -> float:
    low, high, log = scale
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _edges(symbols: list[str]) -> dict[str, list[Any]]:
    places = [PLACES[symbol] for symbol in symbols]
    return {
        "left": [column - 0.5 for _, column in places],
        "bottom": [-row - 0.5 for row, _ in places],
        "right": [column + 0.5 for _, column in places],
        "top": [-row + 0.5 for row, _ in places],
    }


def _texts(
    shown: Mapping[str, float], blank: list[str], scale: tuple[float, float, bool], mode: Mode
) -> list[Any]:
    """Write symbols, and under them the values, in colours that can be read on the shades."""
    symbols: dict[str, list[tuple[float, float, str]]] = {COLORS[mode].axis: []}
    numbers: dict[str, list[tuple[float, float, str]]] = {}
    for symbol in blank:
        row, column = PLACES[symbol]
        symbols[COLORS[mode].axis].append((column, -row, symbol))
    for symbol, value in shown.items():
        row, column = PLACES[symbol]
        color = readable_on(shade(_level(value, scale), mode))
        symbols.setdefault(color, []).append((column, -row + 0.14, symbol))
        numbers.setdefault(color, []).append((column, -row - 0.24, _short(value)))
    return [
        holoviews()
        .Labels(labels, ["x", "y"], "text")
        .opts(text_color=color, text_font_size=size, hooks=[in_our_font], backend="bokeh")
        for group, size in ((symbols, "13px"), (numbers, "9px"))
        for color, labels in group.items()
        if labels
    ]


def _short(value: float) -> str:
    """Write a value with at most five characters or so."""
    if value == round(value) and abs(value) < 1e4:
        return f"{value:.0f}"
    return number(value, 2)


def _box(*, with_counts: bool) -> Any:
    columns = [("element", "element"), ("value", "text")]
    return hover(*columns, *([("structures", "count")] if with_counts else []))
