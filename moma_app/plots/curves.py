"""Learning curves of fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moma_app.plots import payloads
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, one_two_five
from moma_app.plots.text import shorten, with_unit_after
from moma_app.plots.theme import COLORS, Mode, series_color, styled

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport

HEIGHT = 320
LEGEND_INSIDE = 6
"""Curves whose names have room inside the frame."""


def learning_curves(reports: Sequence[FitReport], *, mode: Mode = "light") -> Any:
    """Draw validation (solid) and training (dashed) error against the epoch, one colour for each fit.

    A ring marks the epoch whose weights were kept. The error axis is logarithmic if the curves
    span more than a factor of 8.
    """
    return draw_curves(payloads.curves(reports), mode=mode)


def draw_curves(data: payloads.Curves, *, mode: Mode = "light") -> Any:
    """Draw learning curves, whatever they come from; see :func:`learning_curves`."""
    hv = holoviews()
    layers = []
    for index, line in enumerate(data.series):
        color = series_color(index, mode)
        columns = {"epoch": line.epochs, "fit": [line.label] * len(line.epochs)}
        for part, errors, dash in (
            ("training", line.train, "dashed"),
            ("validation", line.validation, "solid"),
        ):
            table = {**columns, "error": errors, "text": [with_unit_after(e, data.unit) for e in errors]}
            label = shorten(line.label, 40) if part == "validation" else ""
            layers.append(
                hv.Curve(table, "epoch", ["error", "fit", "text"], label=label).opts(
                    color=color,
                    line_dash=dash,
                    line_width=2 if part == "validation" else 1.4,
                    tools=[hover(("fit", "fit"), ("epoch", "epoch"), (part, "text"))],
                    **PLAIN_TOOLS,
                )
            )
        if line.best is not None:
            layers.append(
                hv.Scatter(([line.best[0]], [line.best[1]]), "epoch", "error").opts(
                    color=COLORS[mode].surface, line_color=color, line_width=2, size=9, **PLAIN_TOOLS
                )
            )
    ticks = _log_ticks(data) if data.log else None
    return hv.Overlay(layers).opts(
        title="Validation (solid), training (dashed); ring: weights kept",
        xlabel="Epoch",
        ylabel=data.error,
        logy=data.log,
        **({"yticks": ticks} if ticks else {}),
        responsive=True,
        height=HEIGHT,
        show_legend=len(data.series) > 1,
        legend_position="top_right" if len(data.series) <= LEGEND_INSIDE else "right",
        legend_limit=len(layers) + 1,
        toolbar="above",
        padding=(0.02, 0.06),
        hooks=[
            styled(mode, Title={"text_font_style": "normal", "text_color": COLORS[mode].muted}),
            integer_x,
        ],
        **PLAIN_TOOLS,
    )


def _log_ticks(data: payloads.Curves) -> list[tuple[float, str]]:
    values = payloads.finite(v for line in data.series for v in (*line.train, *line.validation))
    return one_two_five(min(values), max(values))


def integer_x(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
    """Put ticks at whole numbers only; a HoloViews hook."""
    from bokeh.models import BasicTicker

    plot.state.xaxis[0].ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
