"""Nearest rows and what they say of a row's target: the half of Eq. 1 that needs no embeddings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError


class NearestRows(NamedTuple):
    """The K nearest other rows of every row, nearest first.

    Attributes:
        indices: row numbers, int64 [m, k].
        similarities: cosine similarities, float64 [m, k].
    """

    indices: NDArray[np.int64]
    similarities: NDArray[np.float64]

    def first(self, k: int) -> NearestRows:
        """Return the ``k`` nearest only."""
        return NearestRows(
            np.ascontiguousarray(self.indices[:, :k]), np.ascontiguousarray(self.similarities[:, :k])
        )


def check_k(k: int, m: int) -> None:
    """Raise ``InputError`` unless each of ``m`` rows has ``k`` others, and ``k`` is positive."""
    if k < 1:
        raise InputError(f"K must be at least 1, not {k}.")
    if k >= m:
        raise InputError(
            f"K = {k} neighbours need at least {k + 1} training structures, but there "
            f"{'is' if m == 1 else 'are'} {m}: add data or choose a smaller K."
        )


def shares(similarities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return each neighbour's share in the estimate: exp(similarity / T), normalised over the K (Eq. 1).

    Args:
        similarities: of each row's neighbours, nearest first, [m, k].
        temperature: T.

    Returns:
        float64 [m, k]; each row sums to one.

    Raises:
        InputError: the temperature is not positive.
    """
    if not temperature > 0:
        raise InputError(f"The temperature T must be positive, not {temperature:g}.")
    # Subtracting the largest similarity leaves the normalised weights as they are, without overflow.
    logits = (similarities - similarities[:, :1]) / temperature
    weights: NDArray[np.float64] = np.exp(logits)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def propagate(nearest: NearestRows, targets: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Average the neighbours' targets with weights exp(similarity / T): float64 [m].

    Raises:
        InputError: the temperature is not positive.
    """
    weights = shares(nearest.similarities, temperature)
    result: NDArray[np.float64] = np.einsum("mk,mk->m", weights, targets[nearest.indices])
    return result
