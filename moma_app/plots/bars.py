"""Bar charts of a composition: weights and proxy errors by module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moma_app.plots import payloads
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, two_lines
from moma_app.plots.text import column, number, weight_text, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, FONT, TICK_SIZE, Mode, series_color, styled

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult

ROW_HEIGHT = 24
"""Pixels for one module."""
_GREY = "grey: weight 0"
_BAR_COLUMNS = ("module", "predicts", "weight", "proxy", "proxy_std")


def weight_bars(result: AMCResult, *, top: int = payloads.TOP, mode: Mode = "light") -> Any:
    """Draw the weights as bars, and beside each module its proxy error.

    Args:
        result: the composition.
        top: modules shown at most; the axis says how many more there are.
        mode: light or dark.

    Returns:
        A HoloViews layout of two panels that share their rows.
    """
    data = payloads.module_bars(result, "weight", top)
    weights = _weight_panel(data, mode)
    errors = _error_panel(data, mode)
    return (weights + errors).opts(toolbar=None, shared_axes=False, merge_tools=False)


def proxy_bars(result: AMCResult, *, top: int = payloads.TOP, mode: Mode = "light") -> Any:
    """Draw the proxy errors as bars from zero, lowest first; modules with a weight in full colour."""
    hv = holoviews()
    data = payloads.module_bars(result, "proxy error", top)
    colors = COLORS[mode]
    fill = [series_color(1, mode) if bar.weight > 0 else colors.axis for bar in data.bars]
    values = [bar.proxy_mae for bar in data.bars]
    longest = max(payloads.finite(values), default=1.0) or 1.0
    bars = _bars(data, values, fill).opts(**_bar_style())
    labels = _value_labels(values, column(values), mode)
    return hv.Overlay([bars, labels]).opts(
        **_panel(data, mode),
        xlabel=two_lines(with_unit("Proxy error: kNN MAE", data.unit), _remark(data)),
        xlim=(0, 1.22 * longest),
        yticks=_row_ticks(data),
    )


def _weight_panel(data: payloads.ModuleBars, mode: Mode) -> Any:
    hv = holoviews()
    values = [bar.weight for bar in data.bars]
    longest = max(payloads.finite(values), default=0.0) or 1.0
    bars = _bars(data, values, [series_color(0, mode)] * len(values)).opts(**_bar_style())
    labels = _value_labels(values, [weight_text(value) for value in values], mode)
    return hv.Overlay([bars, labels]).opts(
        **_panel(data, mode),
        xlabel=two_lines("Composition weight", data.note),
        xlim=(0, 1.22 * longest),
        yticks=_row_ticks(data),
    )


def _error_panel(data: payloads.ModuleBars, mode: Mode) -> Any:
    hv = holoviews()
    colors = COLORS[mode]
    shown = [(row, bar) for row, bar in enumerate(data.bars) if math.isfinite(bar.proxy_mae)]
    errors = [bar.proxy_mae for _, bar in shown]
    low, high = min(errors, default=0.0), max(errors, default=1.0)
    margin = 0.12 * (high - low) or 0.12 * abs(high) or 1.0
    table = {
        "error": errors,
        "row": [-row for row, _ in shown],
        "color": [series_color(1, mode) if bar.weight > 0 else colors.axis for _, bar in shown],
        **_bar_columns([bar for _, bar in shown], data.unit),
    }
    dots = hv.Points(table, ["error", "row"], ["color", *_BAR_COLUMNS]).opts(
        color="color", size=9, tools=[_bar_hover()], **PLAIN_TOOLS
    )
    return hv.Overlay([dots]).opts(
        **_panel(data, mode, ygrid=True),
        xlabel=two_lines(with_unit("Proxy error: kNN MAE", data.unit), _GREY if _has_grey(data) else ""),
        xlim=(low - margin, high + margin),
        yticks=[(-row, "") for row in range(len(data.bars))],
    )


def _bar_columns(bars: Sequence[payloads.ModuleBar], unit: str) -> dict[str, list[str]]:
    return {
        "module": [bar.module for bar in bars],
        "predicts": [bar.predicts for bar in bars],
        "weight": [weight_text(bar.weight) for bar in bars],
        "proxy": [with_unit_after(bar.proxy_mae, unit) for bar in bars],
        "proxy_std": [number(bar.proxy_mae_standardised) for bar in bars],
    }


def _bar_hover() -> Any:
    return hover(
        ("module", "module"),
        ("predicts", "predicts"),
        ("weight", "weight"),
        ("proxy error", "proxy"),
        ("in std. dev.", "proxy_std"),
    )


def _bars(data: payloads.ModuleBars, lengths: Sequence[float], colors: Sequence[str]) -> Any:
    hv = holoviews()
    rows = range(len(data.bars))
    table = {
        "left": [0.0] * len(data.bars),
        "bottom": [-row - 0.36 for row in rows],
        "right": [length if math.isfinite(length) else 0.0 for length in lengths],
        "top": [-row + 0.36 for row in rows],
        "color": list(colors),
        **_bar_columns(data.bars, data.unit),
    }
    return hv.Rectangles(table, ["left", "bottom", "right", "top"], ["color", *_BAR_COLUMNS])


def _bar_style() -> dict[str, Any]:
    return {"color": "color", "line_color": None, "tools": [_bar_hover()], **PLAIN_TOOLS}


def _value_labels(lengths: Sequence[float], texts: Sequence[str], mode: Mode) -> Any:
    table = {
        "x": [length if math.isfinite(length) else 0.0 for length in lengths],
        "y": [-float(row) for row in range(len(lengths))],
        "text": list(texts),
    }
    return (
        holoviews()
        .Labels(table, ["x", "y"], "text")
        .opts(
            text_color=COLORS[mode].muted,
            text_font_size=TICK_SIZE,
            text_align="left",
            text_baseline="middle",
            backend="bokeh",
            hooks=[_shift_labels],
        )
    )


def _shift_labels(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
    from bokeh.core.properties import value

    plot.handles["glyph"].update(x_offset=6, text_font=value(FONT))


def _row_ticks(data: payloads.ModuleBars) -> list[tuple[int, str]]:
    return [(-row, bar.label) for row, bar in enumerate(data.bars)]


def _panel(data: payloads.ModuleBars, mode: Mode, *, ygrid: bool = False) -> dict[str, Any]:
    n_rows = len(data.bars)
    grids = {} if ygrid else {"YGrid": {"grid_line_color": None}}
    bare = {"major_tick_line_color": None, "axis_line_color": None}
    return {
        "ylabel": "",
        "ylim": (-(n_rows - 1) - 0.6, 0.6),
        "height": max(3, n_rows) * ROW_HEIGHT + 78,
        "responsive": True,
        "show_grid": True,
        "show_legend": False,
        "min_width": 340,
        "toolbar": None,
        "hooks": [styled(mode, YAxis=bare, **grids)],
        **PLAIN_TOOLS,
    }


def _has_grey(data: payloads.ModuleBars) -> bool:
    return any(bar.weight == 0 for bar in data.bars)


def _remark(data: payloads.ModuleBars) -> str:
    return "; ".join(part for part in (_GREY if _has_grey(data) else "", data.note) if part)
