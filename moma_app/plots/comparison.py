"""Two fits on the same test rows: which is better, by how much, and whether that can be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moma_app.plots.payloads import fit_labels, is_classification
from moma_app.plots.text import count, number, plain, signed_percent

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport


@dataclass(frozen=True)
class Comparison:
    """Test errors of a fit and of its baseline.

    Attributes:
        label, baseline_label: what they started from.
        error, baseline_error: test MAE, or the share of wrong classes.
        unit: of the errors.
        classes: the fits predict classes.
        n: test rows.
        standard_error: of the difference, from the paired rows; ``None`` if the two were tested
            on different rows, or on fewer than two.
    """

    label: str
    baseline_label: str
    error: float
    baseline_error: float
    unit: str
    classes: bool
    n: int
    standard_error: float | None

    @property
    def difference(self) -> float:
        """Error minus the baseline's: negative is better."""
        return self.error - self.baseline_error

    @property
    def percent(self) -> float | None:
        """The difference in percent of the baseline's error; ``None`` for a baseline without error."""
        if not self.baseline_error or not math.isfinite(self.difference):
            return None
        return 100 * self.difference / self.baseline_error

    @property
    def within_noise(self) -> bool:
        """Whether the difference is less than two standard errors."""
        return self.standard_error is not None and abs(self.difference) < 2 * self.standard_error


def compare(fit: FitReport, baseline: FitReport) -> Comparison:
    """Compare two fits of one task."""
    classes = is_classification(fit)
    errors, baseline_errors = _row_errors(fit), _row_errors(baseline)
    standard_error = None
    if fit.ids == baseline.ids and fit.targets == baseline.targets and len(errors) > 1:
        differences = errors - baseline_errors
        if np.isfinite(differences).all():
            standard_error = float(differences.std(ddof=1) / math.sqrt(len(differences)))
    label, baseline_label = fit_labels([fit, baseline])
    return Comparison(
        label=label,
        baseline_label=baseline_label,
        error=_error(fit),
        baseline_error=_error(baseline),
        unit="" if classes else plain(fit.unit),
        classes=classes,
        n=len(fit.ids),
        standard_error=standard_error,
    )


def pick(fits: Sequence[FitReport]) -> tuple[FitReport, FitReport] | None:
    """Choose the fit that a report is about and the one to compare it with.

    The composed module, or else the first fit, against the bare backbone, or else the last one.
    ``None`` if there is nothing to compare.
    """
    if len(fits) < 2:
        return None
    main = next((f for f in fits if f.start == "composed"), fits[0])
    others = [f for f in fits if f is not main and is_classification(f) == is_classification(main)]
    if not others:
        return None
    return main, next((f for f in others if f.start == "backbone"), others[-1])


def sentences(comparison: Comparison) -> str:
    """Say what the comparison shows, and what it does not."""
    c = comparison
    what = "share of wrong classes" if c.classes else "test MAE"
    said = (
        f"The {what} on {count(c.n, 'structure')} is {_value(c, c.error)} ({c.label}) "
        f"against {_value(c, c.baseline_error)} ({c.baseline_label})"
    )
    if not math.isfinite(c.difference):
        return f"{said}; the two cannot be compared."
    if c.difference == 0:
        return f"{said}: no difference."
    side = "lower" if c.difference < 0 else "higher"
    size = number(abs(c.difference)) if c.percent is None else f"{abs(c.percent):.1f} %"
    said = f"{said}: {size} {side}"
    if c.standard_error is None:
        return f"{said}, but not on the same rows, so chance may explain the difference."
    paired = f"{number(abs(c.difference), 2)} ± {number(c.standard_error, 2)} {c.unit}".rstrip()
    if c.within_noise:
        return (
            f"{said}, which is within the noise: the difference row by row is {paired} "
            "(mean ± standard error), so this test cannot tell the two apart."
        )
    return (
        f"{said}. The difference row by row is {paired} (mean ± standard error), for one split and one seed."
    )


def single_sentence(fit: FitReport) -> str:
    """Say what one fit reached."""
    label = plain(fit.label, 60) or "fit"
    rows = count(len(fit.ids), "test structure")
    if is_classification(fit):
        return f"The {label} predicts {100 * fit.metrics['accuracy']:.1f} % of {rows} right."
    mae, mad = fit.metrics.get("mae"), fit.metrics.get("mad")
    said = f"The {label} has a test MAE of {number(mae)} {plain(fit.unit)}".rstrip() + f" on {rows}"
    if mae is not None and mad:
        return f"{said}, {mae / mad:.2f} times that of predicting the mean."
    return f"{said}."


def percent_against(fit: FitReport, baseline: FitReport) -> str:
    """Write a fit's difference to a baseline for a table: −16.6 %, or – for the baseline itself."""
    if fit is baseline:
        return "baseline"
    percent = compare(fit, baseline).percent
    return "–" if percent is None else signed_percent(percent)


def _value(c: Comparison, value: float) -> str:
    return f"{100 * value:.1f} %" if c.classes else f"{number(value)} {c.unit}".rstrip()


def _error(fit: FitReport) -> float:
    if is_classification(fit):
        return 1 - fit.metrics["accuracy"]
    if "mae" in fit.metrics:
        return fit.metrics["mae"]
    errors = _row_errors(fit)
    return float(errors.mean()) if len(errors) else math.nan


def _row_errors(fit: FitReport) -> NDArray[np.float64]:
    predicted = np.asarray(fit.predicted, dtype=np.float64)
    targets = np.asarray(fit.targets, dtype=np.float64)
    if is_classification(fit):
        return np.not_equal(predicted.round(), targets.round()).astype(np.float64)
    errors: NDArray[np.float64] = np.abs(predicted - targets)
    return errors
