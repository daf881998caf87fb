"""What is drawn, as plain values: labels and learning curves of fits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moma_app.errors import InputError
from moma_app.plots.text import distinct, plain, with_unit

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport

LOG_RATIO = 8.0
"""A learning curve that spans more than this factor is drawn on a logarithmic axis."""


@dataclass(frozen=True)
class CurveSeries:
    """Learning curve of one fit; ``best`` is the point whose weights were kept."""

    label: str
    epochs: list[int]
    train: list[float]
    validation: list[float]
    best: tuple[int, float] | None


@dataclass(frozen=True)
class Curves:
    """Learning curves of several fits.

    Attributes:
        series: the fits that have a curve.
        error: what the curves show, with unit.
        unit: of the errors.
        log: whether a logarithmic axis is called for.
    """

    series: list[CurveSeries]
    error: str
    unit: str
    log: bool


def is_classification(report: FitReport) -> bool:
    """Say whether a fit predicts classes."""
    return "accuracy" in report.metrics


def fit_labels(reports: Sequence[FitReport]) -> list[str]:
    """Return a label for each fit, with split or seed where the words alone would not do."""
    labels = [plain(report.label, 60) or "fit" for report in reports]
    for name, values in (("split", [r.split for r in reports]), ("seed", [r.seed for r in reports])):
        if len(set(labels)) < len(labels) and len(set(values)) > 1:
            labels = [f"{label}, {name} {value}" for label, value in zip(labels, values, strict=True)]
    return distinct(labels)


def curves(reports: Sequence[FitReport]) -> Curves:
    """Return the learning curves of the fits that have one.

    Raises:
        InputError: none has one.
    """
    series = []
    for label, report in zip(fit_labels(reports), reports, strict=True):
        curve = report.curve
        if curve is None or not curve.epoch:
            continue
        best = None
        if report.best_epoch in curve.epoch:
            best = (report.best_epoch, curve.val_error[curve.epoch.index(report.best_epoch)])
        series.append(CurveSeries(label, curve.epoch, curve.train_error, curve.val_error, best))
    if not series:
        raise InputError("None of the fits has a learning curve.")
    first = next(report for report in reports if report.curve is not None and report.curve.epoch)
    return curves_of(series, first.unit, classes=is_classification(first))


def curves_of(series: list[CurveSeries], unit: str, *, classes: bool = False) -> Curves:
    """Return learning curves that share their axes.

    Args:
        series: the curves, one at least.
        unit: of the errors.
        classes: the errors are log losses, which have no unit.
    """
    unit = "" if classes else plain(unit)
    error = "Log loss" if classes else with_unit("MAE", unit)
    values = finite(value for line in series for value in (*line.train, *line.validation))
    log = bool(values) and min(values) > 0 and max(values) > LOG_RATIO * min(values)
    return Curves(series, error, unit, log)


def finite(values: Iterable[float]) -> list[float]:
    """Return the values that are finite numbers."""
    return [value for value in values if math.isfinite(value)]
