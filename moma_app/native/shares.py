"""Run a C function on several shares of the rows at once, one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

Share = tuple[int, int]


def split_rows(bounds: Tensor, n_shares: int) -> list[Share]:
    """Cut rows into at most ``n_shares`` ranges of similar length that end at ``bounds``.

    Args:
        bounds: where a range may end, ascending from 0 to the number of rows, int64.
        n_shares: number of ranges wanted.
    """
    ends = bounds.numpy()
    n_rows = int(ends[-1])
    wanted = np.arange(1, n_shares) * n_rows / n_shares
    at = np.searchsorted(ends, wanted)
    below, above = ends[np.maximum(at - 1, 0)], ends[at]
    cuts = np.unique(np.concatenate([[0], np.where(wanted - below < above - wanted, below, above), [n_rows]]))
    return [(int(begin), int(end)) for begin, end in pairwise(cuts)]


def run_shares(function: Callable[[Any], Any], works: Sequence[Any]) -> list[Any]:
    """Call ``function`` on every piece of work, as many at a time as PyTorch uses threads; return what it gave.

    ctypes lets go of Python's lock while C works, so threads are enough.
    """
    results: list[Any] = [None] * len(works)
    numbers = iter(range(len(works)))

    def take_turns() -> None:
        for number in numbers:  # each number goes to one thread
            results[number] = function(works[number])

    pool = _pool(os.getpid())
    others = [pool.submit(take_turns) for _ in range(min(n_shares(), len(works)) - 1)]
    take_turns()
    for other in others:
        other.result()
    return results


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return this process's threads; a forked child has none of its parent's and gets its own."""
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), thread_name_prefix=f"moma-{process}")


def n_shares() -> int:
    """Return how many shares to make: one for each thread that PyTorch uses."""
    return torch.get_num_threads()
