"""Predicted and true values, or classes, as they are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from moma_app.errors import InputError, UnknownNameError
from moma_app.plots.payloads import finite, fit_labels, is_classification
from moma_app.plots.text import plain

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.training.outcome import FitReport


@dataclass(frozen=True)
class ParitySeries:
    """Predicted against true values.

    Attributes:
        label: what predicted them.
        rows: positions of the values among all rows, of which they may be a sample; ids need not be unique.
        ids: of the rows.
        formulas: of the rows, where they are known.
        true, predicted: the values.
        std: standard deviations of the predictions.
        mae: mean absolute error of all rows.
        n: number of all rows.
    """

    label: str
    rows: list[int]
    ids: list[str]
    formulas: list[str] | None
    true: list[float]
    predicted: list[float]
    std: list[float] | None
    mae: float
    n: int


@dataclass(frozen=True)
class Parity:
    """Predicted against true values of one property.

    Attributes:
        series: one for each fit.
        quantity, unit: of both axes.
        limits: of both axes, so that the diagonal is where a prediction is right.
    """

    series: list[ParitySeries]
    quantity: str
    unit: str
    limits: tuple[float, float] = field(default=(0.0, 1.0))


def parity_values(
    reports: Sequence[FitReport], most: int | None = 5000, formulas: Mapping[str, str] | None = None
) -> Parity:
    """Return predicted and true values of the test rows.

    Args:
        reports: fits of one task.
        most: points kept for each fit, drawn evenly over the sorted targets; ``None`` for all. Errors are those of all rows.
        formulas: of the structures by id.

    Raises:
        InputError: there are no fits, or they predict classes or different properties.
    """
    if not reports:
        raise InputError("A parity plot needs at least one fit.")
    if any(is_classification(report) for report in reports):
        raise InputError("Classes have no parity plot; draw the confusion matrix.")
    if len({(report.property, report.unit) for report in reports}) > 1:
        raise InputError("The fits predict different properties, which cannot share one parity plot.")
    series = [
        _parity_series(
            label,
            report.ids,
            report.targets,
            report.predicted,
            report.std,
            most=most,
            mae=report.metrics.get("mae"),
            formulas=formulas,
        )
        for label, report in zip(fit_labels(reports), reports, strict=True)
    ]
    return Parity(series, plain(reports[0].property), plain(reports[0].unit), parity_limits(series))


def knn_values(
    result: AMCResult, module: str, most: int | None = 5000, formulas: Mapping[str, str] | None = None
) -> Parity:
    """Return the leave-one-out kNN predictions of one module against the true values of the train rows.

    Raises:
        UnknownNameError: the module took no part in the composition.
    """
    for score in result.modules:
        if score.module == module:
            series = [
                _parity_series(
                    plain(module),
                    result.train_ids,
                    result.train_targets,
                    score.predictions,
                    None,
                    most=most,
                    mae=score.proxy_mae,
                    formulas=formulas,
                )
            ]
            return Parity(series, plain(result.property), plain(result.unit), parity_limits(series))
    raise UnknownNameError("module in this composition", module, [s.module for s in result.modules])


def _parity_series(
    label: str,
    ids: Sequence[str],
    true: Sequence[float],
    predicted: Sequence[float],
    std: Sequence[float] | None,
    *,
    most: int | None,
    mae: float | None,
    formulas: Mapping[str, str] | None,
) -> ParitySeries:
    if not len(ids) == len(true) == len(predicted):
        raise InputError(
            f"{label}: {len(ids)} ids, {len(true)} true and {len(predicted)} predicted values do not match."
        )
    if mae is None:
        mae = float(np.abs(np.asarray(predicted) - np.asarray(true)).mean()) if len(true) else math.nan
    rows = list(range(len(ids)))
    if most is not None and len(rows) > most:
        by_target = np.argsort(np.asarray(true), kind="stable")
        rows = sorted(by_target[np.linspace(0, len(rows) - 1, most).round().astype(int)].tolist())
    return ParitySeries(
        label=label,
        rows=rows,
        ids=[plain(ids[i], 80) for i in rows],
        formulas=None if formulas is None else [plain(formulas.get(ids[i], ""), 80) or "–" for i in rows],
        true=[float(true[i]) for i in rows],
        predicted=[float(predicted[i]) for i in rows],
        std=None if std is None else [float(std[i]) for i in rows],
        mae=mae,
        n=len(ids),
    )


def parity_limits(series: Iterable[ParitySeries]) -> tuple[float, float]:
    """Return the range of true and predicted values with a margin."""
    values = finite(value for line in series for value in (*line.true, *line.predicted))
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


@dataclass(frozen=True)
class Confusion:
    """Counts of test rows by true (row) and predicted (column) class.

    Attributes:
        label: the fit.
        quantity: what the classes are of.
        classes: class indices that occur.
        counts: [true][predicted].
        accuracy: share of right predictions.
    """

    label: str
    quantity: str
    classes: list[int]
    counts: list[list[int]]
    accuracy: float


def confusion_counts(report: FitReport) -> Confusion:
    """Count the test rows of a classification by true and predicted class.

    Raises:
        InputError: the fit is not a classification.
    """
    if not is_classification(report):
        raise InputError(f"The fit {report.label} predicts numbers, not classes.")
    true = np.asarray(report.targets).round().astype(int)
    predicted = np.asarray(report.predicted).round().astype(int)
    classes = sorted({*true.tolist(), *predicted.tolist()})
    counts = [[int(np.sum((true == t) & (predicted == p))) for p in classes] for t in classes]
    return Confusion(
        plain(report.label, 60), plain(report.property), classes, counts, report.metrics["accuracy"]
    )
