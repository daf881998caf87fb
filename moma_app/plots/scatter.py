"""Predicted against true: parity plots, kNN estimates, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moma_app.plots import payloads
from moma_app.plots.drawing import (
    PLAIN_TOOLS,
    SQUARE,
    SQUARE_BORDERS,
    holoviews,
    hover,
    literal_title,
    two_lines,
)
from moma_app.plots.text import number, shorten, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, Mode, marker, series_color, styled

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.training.outcome import FitReport

_SCATTER_COLUMNS = ("predicted", "id", "true_text", "predicted_text", "difference", "std_text")


def parity(
    reports: Sequence[FitReport],
    *,
    limits: tuple[float, float] | None = None,
    first: int = 0,
    most: int | None = 5000,
    mode: Mode = "light",
) -> Any:
    """Draw predicted against true values of the test rows, one colour and shape for each fit.

    Args:
        reports: fits of one task; fits of classes give their confusion matrices.
        limits: of both axes, to give several panels the same ones.
        first: number of the first colour, so that a fit keeps its colour over panels.
        most: points drawn for each fit.
        mode: light or dark.
    """
    if reports and all(payloads.is_classification(report) for report in reports):
        return confusion(reports, mode=mode)
    data = payloads.parity_values(reports, most)
    names = [f"{line.label}: MAE {with_unit_after(line.mae, data.unit)}" for line in data.series]
    return _square_scatter(
        data,
        names,
        limits=limits,
        first=first,
        mode=mode,
        xlabel=_value_axis("True", data),
        ylabel=_value_axis("Predicted", data),
    )


def knn_scatter(result: AMCResult, module: str, *, most: int | None = 5000, mode: Mode = "light") -> Any:
    """Draw the leave-one-out kNN predictions of one module against the true values of the train rows."""
    data = payloads.knn_values(result, module, most)
    line = data.series[0]
    name = f"{shorten(line.label, payloads.LABEL_LENGTH)}: proxy MAE {with_unit_after(line.mae, data.unit)}"
    return _square_scatter(
        data,
        [name],
        limits=None,
        first=1,
        mode=mode,
        xlabel=_value_axis("True", data),
        ylabel=_value_axis("kNN estimate of", data),
    )


def confusion(reports: Sequence[FitReport], *, mode: Mode = "light") -> Any:
    """Draw how many test rows of each class were predicted to be of which, one panel for each fit."""
    panels = [_confusion_panel(report, mode) for report in reports]
    if len(panels) == 1:
        return panels[0]
    return holoviews().Layout(panels).opts(toolbar=None, shared_axes=False)


def _value_axis(which: str, data: payloads.Parity) -> str:
    return with_unit(f"{which} {shorten(data.quantity or 'value', 40)}", data.unit)


def _square_scatter(
    data: payloads.Parity,
    names: Sequence[str],
    *,
    limits: tuple[float, float] | None,
    first: int,
    mode: Mode,
    xlabel: str,
    ylabel: str,
) -> Any:
    hv = holoviews()
    low, high = limits or data.limits
    colors = COLORS[mode]
    layers = [
        hv.Curve([(low, low), (high, high)], "true", "predicted").opts(
            color=colors.axis, line_dash="dashed", line_width=1, **PLAIN_TOOLS
        )
    ]
    several = len(data.series) > 1
    for index, line in enumerate(data.series, first):
        size, alpha = _point_style(len(line.ids))
        color = series_color(index, mode)
        if line.std is not None:
            bars = hv.ErrorBars((line.true, line.predicted, line.std), "true", ["predicted", "std"])
            layers.append(
                bars.opts(
                    line_color=color,
                    line_alpha=alpha / 2,
                    line_width=1,
                    upper_head=None,
                    lower_head=None,
                    backend="bokeh",
                )
            )
        layers.append(
            hv.Scatter(
                _scatter_table(line, data.unit),
                "true",
                list(_SCATTER_COLUMNS),
                label=names[index - first] if several else "",
            ).opts(
                color=color,
                line_color=colors.surface,
                line_width=0.5,
                marker=marker(index) if several else "circle",
                size=size,
                alpha=alpha,
                tools=[
                    _scatter_hover(with_std=line.std is not None),
                    "box_zoom",
                    "reset",
                    "save",
                ],
                **PLAIN_TOOLS,
            )
        )
    spread = any(line.std is not None for line in data.series)
    return hv.Overlay(layers).opts(
        title="" if several else literal_title(names[0]),
        xlabel=two_lines(xlabel, "bars: ±1 standard deviation" if spread else ""),
        ylabel=ylabel,
        xlim=(low, high),
        ylim=(low, high),
        responsive=True,
        aspect=1,
        max_width=SQUARE,
        show_grid=True,
        show_legend=several,
        legend_position="top_left",
        toolbar="above",
        hooks=[styled(mode, Plot=SQUARE_BORDERS)],
        **PLAIN_TOOLS,
    )


def _scatter_table(line: payloads.ParitySeries, unit: str) -> dict[str, list[Any]]:
    return {
        "true": line.true,
        "predicted": line.predicted,
        "id": line.ids,
        "true_text": [f"{number(value, 4)} {unit}" for value in line.true],
        "predicted_text": [f"{number(value, 4)} {unit}" for value in line.predicted],
        "difference": [f"{number(p - t)} {unit}" for p, t in zip(line.predicted, line.true, strict=True)],
        "std_text": ["–"] * len(line.true) if line.std is None else [f"{number(s)} {unit}" for s in line.std],
    }


def _scatter_hover(*, with_std: bool) -> Any:
    columns = [("id", "id"), ("true", "true_text"), ("predicted", "predicted_text"), ("error", "difference")]
    return hover(*columns, *([("± std", "std_text")] if with_std else []))


def _point_style(n: int) -> tuple[float, float]:
    """Return size and opacity that keep ``n`` points apart."""
    if n <= 150:
        return 8, 0.85
    return (6, 0.6) if n <= 1000 else (4, 0.4)


def _confusion_panel(report: FitReport, mode: Mode) -> Any:
    hv = holoviews()
    data = payloads.confusion_counts(report)
    colors = COLORS[mode]
    names = [str(c) for c in data.classes]
    cells = [
        (names[j], names[i], data.counts[i][j], data.counts[i][j] / max(1, sum(data.counts[i])))
        for i in range(len(names))
        for j in range(len(names))
    ]
    heat = hv.HeatMap(
        [(p, t, share, n) for p, t, n, share in cells], ["predicted", "true"], ["share", "rows"]
    )
    box = hover(
        ("true class", "true"), ("predicted", "predicted"), ("rows", "rows"), ("share", "share{0.0%}")
    )
    texts = [
        hv.Labels(
            [(p, t, f"{n:,}") for p, t, n, share in cells if (share > 0.5) is strong],
            ["predicted", "true"],
            "text",
        ).opts(text_color=colors.surface if strong else colors.ink, text_font_size="13px", backend="bokeh")
        for strong in (False, True)
    ]
    return hv.Overlay(
        [
            heat.opts(
                cmap=_blend(colors.heat),
                clim=(0, 1),
                line_color=colors.surface,
                line_width=2,
                tools=[box],
                **PLAIN_TOOLS,
            ),
            *texts,
        ]
    ).opts(
        title=literal_title(f"{data.label}: accuracy {100 * data.accuracy:.1f} %"),
        xlabel=f"Predicted class of {shorten(data.quantity, 40)}",
        ylabel="True class",
        responsive=True,
        aspect=1,
        max_width=SQUARE,
        toolbar=None,
        invert_yaxis=True,
        show_legend=False,
        hooks=[styled(mode, Plot=SQUARE_BORDERS)],
        **PLAIN_TOOLS,
    )


def _blend(ends: tuple[str, str], steps: int = 64) -> list[str]:
    """Return colours from one to the other in equal steps."""
    first, last = ([int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in ends)
    return [
        "#"
        + "".join(f"{round(a + (b - a) * step / (steps - 1)):02x}" for a, b in zip(first, last, strict=True))
        for step in range(steps)
    ]
