"""Errors of predictions against targets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RegressionErrors:
    """Errors of predictions, in the unit of the target.

    Attributes:
        mae: mean absolute error.
        rmse: root mean squared error.
        r2: coefficient of determination; NaN for constant targets.
        mad: mean absolute deviation of the targets from the training mean, the error of a
            prediction that knows nothing else.
        n: number of structures.
    """

    mae: float
    rmse: float
    r2: float
    mad: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return asdict(self)


def regression_errors(
    predicted: NDArray[np.floating[Any]], targets: NDArray[np.float64], train_mean: float
) -> RegressionErrors:
    """Compare predictions [n] with targets [n]."""
    difference = np.asarray(predicted, dtype=np.float64) - targets
    spread = float(np.sum((targets - targets.mean()) ** 2))
    squared = float(np.sum(difference**2))
    return RegressionErrors(
        mae=float(np.abs(difference).mean()),
        rmse=float(np.sqrt(np.mean(difference**2))),
        r2=1 - squared / spread if spread > 0 else float("nan"),
        mad=float(np.abs(targets - train_mean).mean()),
        n=len(targets),
    )


@dataclass(frozen=True)
class ClassificationErrors:
    """Quality of predicted classes.

    Attributes:
        accuracy: share of right predictions.
        macro_f1: F1 score averaged over the classes present.
        n: number of structures.
    """

    accuracy: float
    macro_f1: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return asdict(self)


def classification_errors(
    predicted: NDArray[np.floating[Any]], targets: NDArray[np.float64]
) -> ClassificationErrors:
    """Compare predicted class indices [n] with targets [n]."""
    from sklearn.metrics import f1_score

    return ClassificationErrors(
        accuracy=float(np.mean(predicted == targets)),
        macro_f1=float(
            f1_score(targets.astype(int), predicted.astype(int), average="macro", zero_division=0)
        ),
        n=len(targets),
    )
