"""Counts of values in bins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError

MOST_BINS = 50
TAIL = 0.005
"""Share of values at either end that may be gathered in the outermost bins."""


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins.

    Attributes:
        edges: [n_bins + 1], ascending.
        counts: [n_bins] by series; the outermost bins hold what lies beyond them too.
        n_below, n_above: values of the first series that lie beyond.
        n_left_out: values of the first series that are no finite numbers.
    """

    edges: list[float]
    counts: dict[str, list[int]]
    n_below: int
    n_above: int
    n_left_out: int


def histogram(series: Mapping[str, Sequence[float]], *, whole: bool = False) -> Histogram:
    """Count values in bins that suit the first series.

    The bin width is that of Freedman and Diaconis (Z. Wahrscheinlichkeitstheorie 57, 453 (1981)), for
    at most 50 bins. Where a few outliers would squeeze the rest into a corner, the bins end at the 0.5 %
    and 99.5 % quantiles.

    Args:
        series: values by name, the whole dataset first.
        whole: the values are whole numbers; bins then have whole widths and hold them in their middle.

    Raises:
        InputError: the first series has no finite number.
    """
    first = finite_array(next(iter(series.values())))
    if not len(first):
        raise InputError("There is no finite value to draw a histogram of.")
    low, high = _ends(first)
    edges = _whole_edges(low, high) if whole else _edges(first, low, high)
    return Histogram(
        edges=edges.tolist(),
        counts={
            name: np.histogram(np.clip(finite_array(values), edges[0], edges[-1]), edges)[0].tolist()
            for name, values in series.items()
        },
        n_below=int((first < edges[0]).sum()),
        n_above=int((first > edges[-1]).sum()),
        n_left_out=len(next(iter(series.values()))) - len(first),
    )


def finite_array(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the values that are finite numbers."""
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of the bins: of all values, or without the tails if these take more than half of it."""
    low, high = float(values.min()), float(values.max())
    inner_low, inner_high = (float(q) for q in np.quantile(values, [TAIL, 1 - TAIL]))
    return (inner_low, inner_high) if 0 < inner_high - inner_low < 0.5 * (high - low) else (low, high)


def _edges(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    if low == high:
        half = 0.05 * abs(low) or 0.5
        return np.array([low - half, low + half])
    spread = float(np.subtract(*np.quantile(values, [0.75, 0.25])))
    width = 2 * spread / len(values) ** (1 / 3)
    n_bins = math.ceil((high - low) / width) if width > (high - low) / MOST_BINS else MOST_BINS
    few = math.ceil(math.sqrt(len(values)))
    return np.linspace(low, high, min(MOST_BINS, n_bins, few if width == 0 else n_bins) + 1)


def _whole_edges(low: float, high: float) -> NDArray[np.float64]:
    first, last = math.floor(low), math.ceil(high)
    width = max(1, math.ceil((last - first + 1) / MOST_BINS))
    n_bins = math.ceil((last - first + 1) / width)
    return np.arange(n_bins + 1, dtype=np.float64) * width + (first - 0.5)
