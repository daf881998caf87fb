"""Bar charts of a composition: weights and proxy errors by module, finished or growing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moma_app.plots.bar_values import TOP, ModuleBar, ModuleBars, growing_values, module_bars
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, round_up, two_lines
from moma_app.plots.payloads import finite
from moma_app.plots.rows import row_panel, row_rectangles, value_labels
from moma_app.plots.text import column, count, number, weight_text, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, Mode, series_color

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult

_BAR_COLUMNS = ("module", "predicts", "weight", "proxy", "proxy_std")


def weight_bars(result: AMCResult, *, top: int = TOP, mode: Mode = "light") -> Any:
    """Draw the weights as bars, and beside each module its proxy error.

    Args:
        result: the composition.
        top: modules shown at most; the axis says how many more there are.
        mode: light or dark.

    Returns:
        A HoloViews layout of two panels that share their rows.
    """
    data = module_bars(result, "weight", top)
    return side_by_side(_weight_panel(data, mode, note=data.note), _error_points(data, mode))


def proxy_bars(result: AMCResult, *, top: int = TOP, mode: Mode = "light") -> Any:
    """Draw the proxy errors as bars from zero, lowest first; modules with a weight in full colour."""
    data = module_bars(result, "proxy error", top)
    return _error_panel(data, mode, note="; ".join(part for part in (_grey(data), data.note) if part))


def growing_bars(
    errors: Mapping[str, float],
    *,
    total: int,
    unit: str,
    weights: Mapping[str, float] | None = None,
    predicts: Mapping[str, str] | None = None,
    top: int = TOP,
    mode: Mode = "light",
) -> Any:
    """Draw the proxy errors of the modules encoded so far, lowest first, and beside them the weights, once known.

    The figure has the same height from the first module to the last. Drawn anew for every module it
    flickers: a page takes :func:`moma_app.plots.live.live_bars`, which changes the data only.

    Args:
        errors: proxy MAE by module, in the downstream task's unit.
        total: modules that the composition will have.
        unit: of the errors.
        weights: by module, once they are known.
        predicts: property and unit by module, for the hover box.
        top: modules shown at most; the axis says how many more there are.
        mode: light or dark.
    """
    data = growing_values(errors, total=total, unit=unit, weights=weights, predicts=predicts, top=top)
    rows = min(data.n_modules, top)
    return side_by_side(growing_errors(data, rows, mode), growing_weights(data, rows, mode))


def side_by_side(left: Any, right: Any) -> Any:
    """Return two panels that share their rows as one layout."""
    return (left + right).opts(toolbar=None, shared_axes=False, merge_tools=False)


def growing_errors(data: ModuleBars, rows: int, mode: Mode, *, left: int = 0) -> Any:
    """Return the panel of the proxy errors so far, with room for ``rows`` modules and names of ``left`` pixels."""
    encoded = f"{data.n_modules - data.n_waiting:,} of {count(data.n_modules, 'module')} encoded"
    note = encoded if data.n_waiting else _grey(data)
    return _error_panel(data, mode, note=note, rows=rows, left=left, end=round_up(_longest(data.bars)))


def growing_weights(data: ModuleBars, rows: int, mode: Mode) -> Any:
    """Return the panel of the weights, which is empty while they are not known."""
    known = any(bar.weight is not None for bar in data.bars)
    note = data.note if known else "known when all modules are encoded"
    return _weight_panel(data, mode, note=note, rows=rows, named=False)


def _longest(bars: Sequence[ModuleBar]) -> float:
    return max(finite(bar.proxy_mae for bar in bars), default=0.0) or 1.0


def _error_panel(
    data: ModuleBars, mode: Mode, *, note: str, rows: int | None = None, left: int = 0, end: float = 0.0
) -> Any:
    """Draw proxy errors as bars; grey ones have weight 0."""
    grey = COLORS[mode].axis
    fill = [grey if bar.weight == 0 else series_color(1, mode) for bar in data.bars]
    values = [bar.proxy_mae for bar in data.bars]
    bars = row_rectangles(values, _bar_columns(data.bars, data.unit), fill, _bar_hover())
    return (
        holoviews()
        .Overlay([bars, value_labels(values, column(values), mode)])
        .opts(
            **row_panel([bar.label for bar in data.bars], mode, rows=rows, left=left),
            xlabel=two_lines(with_unit("Proxy error: kNN MAE", data.unit), note),
            xlim=(0, 1.22 * max(end, _longest(data.bars))),
        )
    )


def _weight_panel(
    data: ModuleBars, mode: Mode, *, note: str, rows: int | None = None, named: bool = True
) -> Any:
    values = [math.nan if bar.weight is None else bar.weight for bar in data.bars]
    texts = ["" if bar.weight is None else weight_text(bar.weight) for bar in data.bars]
    longest = max(finite(values), default=0.0)
    bars = row_rectangles(
        values, _bar_columns(data.bars, data.unit), [series_color(0, mode)] * len(values), _bar_hover()
    )
    return (
        holoviews()
        .Overlay([bars, value_labels(values, texts, mode)])
        .opts(
            **row_panel([bar.label if named else "" for bar in data.bars], mode, rows=rows),
            xlabel=two_lines("Composition weight", note),
            xlim=(0, 1.22 * longest or 1.0),
        )
    )


def _error_points(data: ModuleBars, mode: Mode) -> Any:
    hv = holoviews()
    colors = COLORS[mode]
    shown = [(row, bar) for row, bar in enumerate(data.bars) if math.isfinite(bar.proxy_mae)]
    errors = [bar.proxy_mae for _, bar in shown]
    low, high = min(errors, default=0.0), max(errors, default=1.0)
    margin = 0.12 * (high - low) or 0.12 * abs(high) or 1.0
    table = {
        "error": errors,
        "row": [-row for row, _ in shown],
        "color": [colors.axis if bar.weight == 0 else series_color(1, mode) for _, bar in shown],
        **_bar_columns([bar for _, bar in shown], data.unit),
    }
    dots = hv.Points(table, ["error", "row"], ["color", *_BAR_COLUMNS]).opts(
        color="color", size=9, tools=[_bar_hover()], **PLAIN_TOOLS
    )
    return hv.Overlay([dots]).opts(
        **row_panel([""] * len(data.bars), mode, ygrid=True),
        xlabel=two_lines(with_unit("Proxy error: kNN MAE", data.unit), _grey(data)),
        xlim=(low - margin, high + margin),
    )


def _bar_columns(bars: Sequence[ModuleBar], unit: str) -> dict[str, list[str]]:
    return {
        "module": [bar.module for bar in bars],
        "predicts": [bar.predicts for bar in bars],
        "weight": ["–" if bar.weight is None else weight_text(bar.weight) for bar in bars],
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


def _grey(data: ModuleBars) -> str:
    """Say what grey means, if anything is."""
    return "grey: weight 0" if any(bar.weight == 0 for bar in data.bars) else ""
