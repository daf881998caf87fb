"""What is drawn, as plain values: figures only say how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from moma_app.errors import InputError, UnknownNameError
from moma_app.plots.text import count, distinct, plain, shorten, with_unit

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult, ModuleScore
    from moma_app.training.outcome import FitReport

Order = Literal["weight", "proxy error"]
TOP = 30
"""Modules that a bar chart shows at most."""
LABEL_LENGTH = 32
"""Characters of a module's name at an axis."""
LOG_RATIO = 8.0
"""A learning curve that spans more than this factor is drawn on a logarithmic axis."""


@dataclass(frozen=True)
class ModuleBar:
    """One module's line in a bar chart.

    Attributes:
        label: its name, short enough for an axis.
        module: its full name.
        predicts: property and unit it was trained on.
        weight: composition weight.
        proxy_mae: kNN error in the downstream task's unit.
        proxy_mae_standardised: the same in standard deviations of the targets.
    """

    label: str
    module: str
    predicts: str
    weight: float
    proxy_mae: float
    proxy_mae_standardised: float


@dataclass(frozen=True)
class ModuleBars:
    """The modules that a bar chart shows, first at the top, and what it leaves out.

    Attributes:
        bars: the modules shown.
        by: what they are sorted by.
        quantity, unit: the downstream task's property.
        n_modules: all modules of the composition.
        n_hidden_weighted, hidden_weight: modules not shown that have a weight, and their sum.
    """

    bars: list[ModuleBar]
    by: Order
    quantity: str
    unit: str
    n_modules: int
    n_hidden_weighted: int
    hidden_weight: float

    @property
    def n_hidden(self) -> int:
        """Modules that are not shown."""
        return self.n_modules - len(self.bars)

    @property
    def note(self) -> str:
        """What is not shown, in words; empty if everything is."""
        if not self.n_hidden:
            return ""
        more = count(self.n_hidden, "more module")
        if self.by == "proxy error":
            return f"{more} with higher errors not shown"
        if not self.n_hidden_weighted:
            return f"{more} with weight 0 not shown"
        return (
            f"{more} not shown: {self.n_hidden - self.n_hidden_weighted:,} with weight 0, "
            f"{self.n_hidden_weighted:,} with {self.hidden_weight:.2g} together"
        )


def sorted_scores(result: AMCResult, by: Order = "weight") -> list[ModuleScore]:
    """Return the modules, best first; equal ones by the other measure, then by name."""
    if by == "weight":
        return sorted(result.modules, key=lambda s: (-s.weight, s.proxy_mae, s.module))
    return sorted(result.modules, key=lambda s: (s.proxy_mae, -s.weight, s.module))


def module_bars(result: AMCResult, by: Order = "weight", top: int = TOP) -> ModuleBars:
    """Return the first ``top`` modules of a composition, best first.

    Raises:
        InputError: the composition has no module.
    """
    if not result.modules:
        raise InputError(f"The composition for {result.task} has no module to draw.")
    scores = sorted_scores(result, by)
    shown, hidden = scores[:top], scores[top:]
    labels = distinct(shorten(plain(score.module), LABEL_LENGTH) for score in shown)
    return ModuleBars(
        bars=[
            ModuleBar(
                label=label,
                module=plain(score.module),
                predicts=plain(with_unit(score.property, score.unit)),
                weight=score.weight,
                proxy_mae=score.proxy_mae,
                proxy_mae_standardised=score.proxy_mae_standardised,
            )
            for label, score in zip(labels, shown, strict=True)
        ],
        by=by,
        quantity=plain(result.property),
        unit=plain(result.unit),
        n_modules=len(scores),
        n_hidden_weighted=sum(score.weight > 0 for score in hidden),
        hidden_weight=sum(score.weight for score in hidden),
    )


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
    unit = "" if is_classification(first) else plain(first.unit)
    error = "Log loss" if is_classification(first) else with_unit("MAE", unit)
    values = finite(value for line in series for value in (*line.train, *line.validation))
    log = bool(values) and min(values) > 0 and max(values) > LOG_RATIO * min(values)
    return Curves(series, error, unit, log)


@dataclass(frozen=True)
class ParitySeries:
    """Predicted against true values; ``std`` are standard deviations of the predictions.

    ``n`` counts all rows, of which ``ids`` and the values may be a sample.
    """

    label: str
    ids: list[str]
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


def parity_values(reports: Sequence[FitReport], most: int | None = 5000) -> Parity:
    """Return predicted and true values of the test rows.

    Args:
        reports: fits of one task.
        most: points kept for each fit, drawn evenly over the sorted targets; ``None`` for all. Errors are those of all rows.

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
        )
        for label, report in zip(fit_labels(reports), reports, strict=True)
    ]
    return Parity(series, plain(reports[0].property), plain(reports[0].unit), parity_limits(series))


def knn_values(result: AMCResult, module: str, most: int | None = 5000) -> Parity:
    """Return the leave-one-out kNN predictions of one module against the true values.

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
        ids=[plain(ids[i], 80) for i in rows],
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


def finite(values: Iterable[float]) -> list[float]:
    """Return the values that are finite numbers."""
    return [value for value in values if math.isfinite(value)]
