"""Means with their spread, differences in %, a straight line through points, and correlation of ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

FEWEST = 3
"""Points that a fit or a correlation needs: two always lie on a line."""


@dataclass(frozen=True)
class Spread:
    """A mean over splits and seeds.

    Attributes:
        mean: the mean.
        std: sample standard deviation (n - 1); ``None`` for a single value.
        n: number of values.
    """

    mean: float
    std: float | None
    n: int


def spread(values: Sequence[float]) -> Spread | None:
    """Return mean and standard deviation of some values; ``None`` of none."""
    if not values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), std, len(values))


def percent(value: float, reference: float) -> float | None:
    """Return by how many % a value is above a reference; ``None`` where the reference is 0."""
    return 100 * (value / reference - 1) if reference else None


@dataclass(frozen=True)
class Line:
    """A straight line through points by least squares.

    Attributes:
        slope, intercept: of y = slope·x + intercept.
        r: Pearson's correlation coefficient.
        low, high: 95% confidence interval of r (Fisher's transformation); ``None`` for three points.
        p: probability of such an r, or a larger one, without any correlation (two-sided).
        n: points.
    """

    slope: float
    intercept: float
    r: float
    low: float | None
    high: float | None
    p: float
    n: int


def fit_line(x: ArrayLike, y: ArrayLike) -> Line | None:
    """Fit a line through points; ``None`` if they are fewer than three, or all x or all y are equal."""
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(across) < FEWEST or np.ptp(across) == 0 or np.ptp(up) == 0:
        return None
    from scipy.stats import linregress, pearsonr

    line = linregress(across, up)
    low: float | None = None
    high: float | None = None
    if len(across) > FEWEST:  # Fisher's interval has n - 3 in its denominator
        interval = pearsonr(across, up).confidence_interval(0.95)
        low, high = float(interval.low), float(interval.high)
    return Line(
        slope=float(line.slope),
        intercept=float(line.intercept),
        r=float(line.rvalue),
        low=low,
        high=high,
        p=float(line.pvalue),
        n=len(across),
    )


@dataclass(frozen=True)
class RankCorrelation:
    """How well two lists agree in their order.

    Attributes:
        spearman: Spearman's rho.
        kendall: Kendall's tau-b, which allows for ties.
        spearman_p, kendall_p: probability of such a value without any relation (two-sided).
        n: pairs.
    """

    spearman: float
    kendall: float
    spearman_p: float
    kendall_p: float
    n: int


def rank_correlation(x: ArrayLike, y: ArrayLike) -> RankCorrelation | None:
    """Compare the order of two lists; ``None`` of fewer than three pairs, or if one list is constant."""
    left, right = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(left) < FEWEST or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    from scipy.stats import kendalltau, spearmanr

    rho, tau = spearmanr(left, right), kendalltau(left, right)
    if not (math.isfinite(rho.statistic) and math.isfinite(tau.statistic)):
        return None
    return RankCorrelation(
        spearman=float(rho.statistic),
        kendall=float(tau.statistic),
        spearman_p=float(rho.pvalue),
        kendall_p=float(tau.pvalue),
        n=len(left),
    )
