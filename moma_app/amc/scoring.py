"""How good a module's kNN estimates are, in the task's unit and in standard deviations of its targets."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray


class Standardised(NamedTuple):
    """Targets of the train rows on a scale of their own.

    Attributes:
        values: with mean 0 and standard deviation 1, float64 [m].
        mean, std: of the targets, in the task's unit.
    """

    values: NDArray[np.float64]
    mean: float
    std: float


class ProxyErrors(TypedDict):
    """The fields of a :class:`moma_app.amc.result.ModuleScore` that follow from a module's estimates."""

    predictions: list[float]
    proxy_mae: float
    proxy_mae_standardised: float
    proxy_mse_standardised: float


def standardise(targets: NDArray[np.float64]) -> Standardised:
    """Scale targets [m], which must not all be equal."""
    mean, std = float(targets.mean()), float(targets.std())
    return Standardised((targets - mean) / std, mean, std)


def proxy_errors(
    estimates: NDArray[np.float64], targets: NDArray[np.float64], scale: Standardised
) -> ProxyErrors:
    """Compare standardised estimates [m] with targets [m] in the task's unit."""
    physical = estimates * scale.std + scale.mean
    mae = float(np.abs(physical - targets).mean())
    return ProxyErrors(
        predictions=physical.tolist(),
        proxy_mae=mae,
        proxy_mae_standardised=mae / scale.std,
        proxy_mse_standardised=float(np.mean(((physical - targets) / scale.std) ** 2)),
    )
