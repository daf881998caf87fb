"""Learning curve and learning rate of one fit while it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moma_app.plots.curves import integer_x
from moma_app.plots.drawing import FOLLOWING, PLAIN_TOOLS, holoviews, hover, one_two_five, round_up
from moma_app.plots.payloads import finite
from moma_app.plots.text import number, plain, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, Mode, series_color, styled
from moma_app.progress import EpochEnded

ERROR_HEIGHT, RATE_HEIGHT = 280, 150
_LEFT = 100
"""Pixels at the left of both panels, whatever their numbers, so that their frames are one above the other."""


@dataclass(frozen=True)
class Epochs:
    """The epochs of a fit so far.

    Attributes:
        events: of the epochs that have ended.
        epochs: that the fit will have at most.
        unit: of the errors.
        classes: the errors are log losses, which have no unit.
    """

    events: Sequence[EpochEnded]
    epochs: int
    unit: str
    classes: bool = False

    @property
    def axis(self) -> str:
        """What the errors are, with unit."""
        return "Log loss" if self.classes else with_unit("MAE", plain(self.unit))


def epoch_columns(events: Sequence[EpochEnded]) -> dict[str, list[float]]:
    """Return epoch, train_error, val_error, learning_rate, seconds and structures_per_second as columns.

    An epoch that was done twice, because a fit was resumed, is there once, as it was done last.
    """
    last = {event.epoch: event for event in events}
    ordered = [last[epoch] for epoch in sorted(last)]
    names = ("epoch", "train_error", "val_error", "learning_rate", "seconds", "structures_per_second")
    return {name: [getattr(event, name) for event in ordered] for name in names}


def error_panel(data: Epochs, mode: Mode) -> Any:
    """Draw validation (solid) and training (dashed) error on a logarithmic axis; a ring marks the lowest so far."""
    hv = holoviews()
    columns = epoch_columns(data.events)
    positive = [value for value in finite([*columns["train_error"], *columns["val_error"]]) if value > 0]
    low, high = (min(positive), max(positive)) if positive else (0.1, 1.0)
    unit = "" if data.classes else plain(data.unit)
    color = series_color(0, mode)
    layers = []
    for part, name, dash, width in (
        ("training", "train_error", "dashed", 1.4),
        ("validation", "val_error", "solid", 2.0),
    ):
        errors = [value if value > 0 else math.nan for value in columns[name]]
        table = {
            "epoch": columns["epoch"],
            "error": errors,
            "text": [with_unit_after(value, unit) for value in columns[name]],
        }
        layers.append(
            hv.Curve(table, "epoch", ["error", "text"]).opts(
                color=color,
                line_dash=dash,
                line_width=width,
                tools=[hover(("epoch", "epoch"), (part, "text"))],
                **FOLLOWING,
                **PLAIN_TOOLS,
            )
        )
    layers.append(
        hv.Scatter(_lowest(columns), "epoch", "error").opts(
            color=COLORS[mode].surface, line_color=color, line_width=2, size=9, **PLAIN_TOOLS
        )
    )
    return hv.Overlay(layers).opts(
        title="Solid: validation, ring at the lowest; dashed: training",
        xlabel="",
        ylabel=data.axis,
        logy=True,
        ylim=(low / 1.15, high * 1.15),
        yticks=one_two_five(low, high),
        height=ERROR_HEIGHT,
        **_frame(data, mode),
    )


def rate_panel(data: Epochs, mode: Mode) -> Any:
    """Draw the learning rate of each epoch."""
    columns = epoch_columns(data.events)
    rates = columns["learning_rate"]
    top = round_up(max(finite(rates), default=0.0)) if any(rates) else 1e-3
    table = {
        "epoch": columns["epoch"],
        "rate": rates,
        "text": [number(rate) for rate in rates],
        "speed": [f"{number(speed)} structures/s" for speed in columns["structures_per_second"]],
        "time": [f"{number(seconds)} s" for seconds in columns["seconds"]],
    }
    box = hover(("epoch", "epoch"), ("learning rate", "text"), ("throughput", "speed"), ("time", "time"))
    curve = (
        holoviews()
        .Curve(table, "epoch", ["rate", "text", "speed", "time"])
        .opts(color=series_color(2, mode), line_width=2, tools=[box], **FOLLOWING, **PLAIN_TOOLS)
    )
    return (
        holoviews()
        .Overlay([curve])
        .opts(
            xlabel="Epoch",
            ylabel="Learning rate",
            ylim=(0, 1.1 * top),
            yticks=[(0, "0"), (top / 2, number(top / 2, 2)), (top, number(top, 2))],
            height=RATE_HEIGHT,
            **_frame(data, mode),
        )
    )


def _lowest(columns: dict[str, list[float]]) -> list[tuple[float, float]]:
    points = [
        (error, epoch)
        for epoch, error in zip(columns["epoch"], columns["val_error"], strict=True)
        if math.isfinite(error) and error > 0
    ]
    return [(epoch, error) for error, epoch in [min(points)]] if points else []


def _frame(data: Epochs, mode: Mode) -> dict[str, Any]:
    most = max([data.epochs, 2, *(event.epoch for event in data.events)])
    return {
        "xlim": (0.5, most + 0.5),
        "responsive": True,
        "show_grid": True,
        "show_legend": False,
        "toolbar": None,
        "min_width": 340,
        "hooks": [
            styled(
                mode,
                Title={"text_font_style": "normal", "text_color": COLORS[mode].muted},
                Plot={"min_border_left": _LEFT},
            ),
            integer_x,
        ],
        **PLAIN_TOOLS,
    }
