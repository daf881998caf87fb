"""Predicted against true values: parity plots and kNN estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moma_app.plots.bar_values import LABEL_LENGTH
from moma_app.plots.confusion_matrix import confusion
from moma_app.plots.drawing import (
    PLAIN_TOOLS,
    SQUARE,
    SQUARE_BORDERS,
    holoviews,
    hover,
    literal_title,
    two_lines,
)
from moma_app.plots.parity_values import Parity, ParitySeries, knn_values, parity_values
from moma_app.plots.payloads import is_classification
from moma_app.plots.text import number, shorten, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, Mode, marker, series_color, styled

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.training.outcome import FitReport


@dataclass(frozen=True)
class _Frame:
    """What the panels of a figure share: axes, colours, and whether a point can be tapped."""

    xlabel: str
    ylabel: str
    limits: tuple[float, float] | None
    first: int
    tappable: bool
    mode: Mode


def parity(
    reports: Sequence[FitReport],
    *,
    limits: tuple[float, float] | None = None,
    first: int = 0,
    most: int | None = 5000,
    formulas: Mapping[str, str] | None = None,
    tappable: bool = False,
    mode: Mode = "light",
) -> Any:
    """Draw predicted against true values of the test rows, one colour and shape for each fit.

    Args:
        reports: fits of one task; fits of classes give their confusion matrices.
        limits: of both axes, to give several panels the same ones.
        first: number of the first colour, so that a fit keeps its colour over panels.
        most: points drawn for each fit.
        formulas: of the structures by id, for the hover box.
        tappable: points can be chosen; :func:`moma_app.plots.taps.on_point` tells which.
        mode: light or dark.
    """
    if reports and all(is_classification(report) for report in reports):
        return confusion(reports, mode=mode)
    data = parity_values(reports, most, formulas)
    names = [f"{line.label}: MAE {with_unit_after(line.mae, data.unit)}" for line in data.series]
    frame = _Frame(_value_axis("True", data), _value_axis("Predicted", data), limits, first, tappable, mode)
    return _square_scatter(data, names, frame)


def knn_scatter(
    result: AMCResult,
    module: str,
    *,
    most: int | None = 5000,
    formulas: Mapping[str, str] | None = None,
    tappable: bool = False,
    mode: Mode = "light",
) -> Any:
    """Draw the leave-one-out kNN predictions of one module against the true values of the train rows.

    Args:
        result: the composition.
        module: one of its modules.
        most: points drawn.
        formulas: of the structures by id, for the hover box.
        tappable: points can be chosen; :func:`moma_app.plots.taps.on_point` tells which.
        mode: light or dark.
    """
    data = knn_values(result, module, most, formulas)
    line = data.series[0]
    name = f"{shorten(line.label, LABEL_LENGTH)}: proxy MAE {with_unit_after(line.mae, data.unit)}"
    frame = _Frame(_value_axis("True", data), _value_axis("kNN estimate of", data), None, 1, tappable, mode)
    return _square_scatter(data, [name], frame)


def _value_axis(which: str, data: Parity) -> str:
    return with_unit(f"{which} {shorten(data.quantity or 'value', 26)}", data.unit)


def _square_scatter(data: Parity, names: Sequence[str], frame: _Frame) -> Any:
    hv = holoviews()
    low, high = frame.limits or data.limits
    several = len(data.series) > 1
    layers = [
        hv.Curve([(low, low), (high, high)], "true", "predicted").opts(
            color=COLORS[frame.mode].axis, line_dash="dashed", line_width=1, **PLAIN_TOOLS
        )
    ]
    for index, (line, name) in enumerate(zip(data.series, names, strict=True), frame.first):
        if line.std is not None:
            layers.append(_error_bars(line, index, frame.mode))
        layers.append(_points(line, data.unit, index, name if several else "", frame))
    spread = any(line.std is not None for line in data.series)
    return hv.Overlay(layers).opts(
        title="" if several else literal_title(names[0]),
        xlabel=two_lines(frame.xlabel, "bars: ±1 standard deviation" if spread else ""),
        ylabel=frame.ylabel,
        xlim=(low, high),
        ylim=(low, high),
        responsive=True,
        aspect=1,
        max_width=SQUARE,
        show_grid=True,
        show_legend=several,
        legend_position="top_left",
        toolbar="above",
        hooks=[styled(frame.mode, Plot=SQUARE_BORDERS)],
        **PLAIN_TOOLS,
    )


def _error_bars(line: ParitySeries, index: int, mode: Mode) -> Any:
    return (
        holoviews()
        .ErrorBars((line.true, line.predicted, line.std), "true", ["predicted", "std"])
        .opts(
            line_color=series_color(index, mode),
            line_alpha=_point_style(len(line.ids))[1] / 2,
            line_width=1,
            upper_head=None,
            lower_head=None,
            backend="bokeh",
        )
    )


def _points(line: ParitySeries, unit: str, index: int, label: str, frame: _Frame) -> Any:
    colors = COLORS[frame.mode]
    size, alpha = _point_style(len(line.ids))
    columns = _columns(line, unit)
    chosen: dict[str, Any] = {}
    if frame.tappable:
        chosen = {
            "nonselection_alpha": alpha,
            "selection_alpha": 1.0,
            "selection_line_color": colors.ink,
            "selection_line_width": 2.5,
        }
    return (
        holoviews()
        .Scatter(columns, "true", [name for name in columns if name != "true"], label=label)
        .opts(
            color=series_color(index, frame.mode),
            line_color=colors.surface,
            line_width=0.5,
            marker=marker(index) if label else "circle",
            size=size,
            alpha=alpha,
            tools=[
                _box(line),
                *(["tap"] if frame.tappable else []),
                "box_zoom",
                "reset",
                "save",
            ],
            **chosen,
            **PLAIN_TOOLS,
        )
    )


def _columns(line: ParitySeries, unit: str) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "true": line.true,
        "predicted": line.predicted,
        "row": line.rows,
        "id": line.ids,
        "true_text": [f"{number(value, 4)} {unit}" for value in line.true],
        "predicted_text": [f"{number(value, 4)} {unit}" for value in line.predicted],
        "difference": [f"{number(p - t)} {unit}" for p, t in zip(line.predicted, line.true, strict=True)],
    }
    if line.formulas is not None:
        columns["formula"] = line.formulas
    if line.std is not None:
        columns["std_text"] = [f"{number(s)} {unit}" for s in line.std]
    return columns


def _box(line: ParitySeries) -> Any:
    return hover(
        *([("formula", "formula")] if line.formulas is not None else []),
        ("id", "id"),
        ("true", "true_text"),
        ("predicted", "predicted_text"),
        ("error", "difference"),
        *([("± std", "std_text")] if line.std is not None else []),
    )


def _point_style(n: int) -> tuple[float, float]:
    """Return size and opacity that keep ``n`` points apart."""
    if n <= 150:
        return 8, 0.85
    return (6, 0.6) if n <= 1000 else (4, 0.4)
