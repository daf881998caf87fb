"""Learning curves that come from a module's card or from a run's events, drawn as those of fits are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moma_app.plots.curves import draw_curves
from moma_app.plots.payloads import CurveSeries, curves_of
from moma_app.plots.text import plain
from moma_app.plots.theme import Mode

if TYPE_CHECKING:
    from moma_app.hub.card import Card
    from moma_app.progress import EpochEnded
    from moma_app.training.outcome import FitReport


def series_of_card(card: Card, label: str = "") -> CurveSeries | None:
    """Return a module's learning curve under its name or another label; ``None`` if its card has none."""
    curve = card.curve
    return _series(
        label or card.name,
        [point.epoch for point in curve],
        [point.train_error for point in curve],
        [point.val_error for point in curve],
    )


def series_of_epochs(epochs: Sequence[EpochEnded], label: str) -> CurveSeries | None:
    """Return the learning curve of a fit as far as it has come; ``None`` before its first epoch has ended.

    An epoch that was done twice, because the fit was resumed, counts as it was the last time.
    """
    last = {event.epoch: event for event in epochs}
    events = [last[epoch] for epoch in sorted(last)]
    return _series(
        label,
        [event.epoch for event in events],
        [event.train_error for event in events],
        [event.val_error for event in events],
    )


def series_of_fit(fit: FitReport, label: str) -> CurveSeries | None:
    """Return a fit's learning curve; ``None`` if it has none, as an instant predictor."""
    if fit.curve is None:
        return None
    return _series(label, fit.curve.epoch, fit.curve.train_error, fit.curve.val_error, fit.best_epoch)


def series_curves(
    series: Sequence[CurveSeries], unit: str, *, classes: bool = False, mode: Mode = "light"
) -> Any:
    """Draw learning curves over each other.

    Args:
        series: the curves, one at least.
        unit: of the errors.
        classes: the errors are log losses, which have no unit.
        mode: light or dark.
    """
    return draw_curves(curves_of(list(series), unit, classes=classes), mode=mode)


def _series(
    label: str, epochs: list[int], train: list[float], validation: list[float], best: int | None = None
) -> CurveSeries | None:
    if not epochs:
        return None
    known = [(error, epoch) for error, epoch in zip(validation, epochs, strict=True) if math.isfinite(error)]
    if best is None and known:
        best = min(known)[1]
    kept = (best, validation[epochs.index(best)]) if best is not None and best in epochs else None
    return CurveSeries(plain(label, 60) or "fit", epochs, train, validation, kept)
