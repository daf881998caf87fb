"""What one side of a case consists of."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

COMPARED = 16
"""Structures whose features are compared between the sides, and with which a side warms up."""


def nothing() -> list[float]:
    """Answer that is compared with nobody's."""
    return []


@dataclass(frozen=True)
class Work:
    """One side, ready to run.

    Attributes:
        run: one repeat, which ends when its results are there.
        units: steps, structures, ... in one repeat.
        warm_up: the first call, whose time does not count.
        answer: numbers that both sides must agree on.
        gflop: matrix-product operations of one repeat, in 1e9, if they are counted.
        facts: what else a reader should know; may be filled while warming up.
    """

    run: Callable[[], object]
    units: float
    warm_up: Callable[[], object]
    answer: Callable[[], ArrayLike] = nothing
    gflop: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def chunks(n: int, size: int) -> list[NDArray[np.int64]]:
    """Cut the positions 0 to n - 1 into batches, in order."""
    return [np.arange(start, min(start + size, n)) for start in range(0, n, size)]


def first(items: Sized, n: int) -> NDArray[np.int64]:
    """Return the positions of the first ``n`` items, or of all if there are fewer."""
    return np.arange(min(n, len(items)))
