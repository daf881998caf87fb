"""The K nearest other rows of every row, by cosine similarity, without the matrix of all pairs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import pad

from moma_app.amc.nearest_block import (
    GROUP,
    NearestRows,
    levels_of_maxima,
    nearest_in_block,
    rounding_error,
)
from moma_app.amc.nearest_kernel import nearest_by_kernel
from moma_app.errors import InputError

BLOCK_ROWS = 256
"""Rows whose similarities are in a thread's memory at a time, in float32: 1 KiB for every row there is."""
BLOCKS_BYTES = 2**30
"""What the blocks of all threads may take together."""
_ONE_SEARCH = threading.Lock()


def nearest_rows(embeddings: ArrayLike | Tensor, k: int, device: torch.device | str = "cpu") -> NearestRows:
    """Find the ``k`` other rows of highest cosine similarity; ties go to the lower row index.

    Works in blocks: the m x m matrix is never held in memory. Candidates are found in float32
    and ranked in float64, so that the result does not depend on block size or device. The time
    grows with m² d; memory is that of a float64 copy of the embeddings and a block.

    Args:
        embeddings: one row per structure, [m, d].
        k: number of neighbours, at least 1 and less than m.
        device: where the similarities are computed.

    Raises:
        InputError: ``k`` does not fit the number of rows, or a row is zero or not finite.
    """
    device = torch.device(device)
    unit = _unit_rows(embeddings)
    m = len(unit)
    _check_k(k, m)
    if device.type == "cpu" and (
        found_by_kernel := nearest_by_kernel(unit, k, rounding_error(unit.shape[1]))
    ):
        return found_by_kernel
    levels = levels_of_maxima(m, k)
    search = pad(unit.float(), (0, 0, 0, -m % GROUP**levels)).to(device)
    if device.type != "mps":  # which has no float64: the few candidates are then ranked on the CPU
        unit = unit.to(device)
    found = NearestRows(np.empty((m, k), dtype=np.int64), np.empty((m, k)))
    per_block = min(BLOCK_ROWS, m)
    own = threading.local()

    def search_block(first: int) -> None:
        rows = slice(first, min(first + per_block, m))
        if not hasattr(own, "memory"):  # kept, as new memory is slow
            own.memory = search.new_empty(len(search) * per_block)
        block = own.memory[: len(search) * (rows.stop - first)].view(len(search), -1)
        torch.mm(search, search[rows].T, out=block)  # [m, b] is faster to make and to read than [b, m]
        found.indices[rows], found.similarities[rows] = nearest_in_block(block, unit, rows, k, levels)

    workers = 1
    if device.type == "cpu":
        workers = min(torch.get_num_threads(), -(-m // per_block), BLOCKS_BYTES // (4 * m * per_block))
    with _workers(max(1, workers)) as pool:
        for _ in pool.map(search_block, range(0, m, per_block)):
            pass
    return found


@contextmanager
def _workers(n: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads, PyTorch's own threads shared out among them.

    Many operations side by side are faster than each on many threads, which all wait for the last
    one every time. How many threads an operation takes is a setting of the process, hence the lock.
    """
    with _ONE_SEARCH, ThreadPoolExecutor(n) as pool:
        threads = torch.get_num_threads()
        torch.set_num_threads(threads // n)
        try:
            yield pool
        finally:
            torch.set_num_threads(threads)


def _unit_rows(embeddings: ArrayLike | Tensor) -> Tensor:
    rows: Any = embeddings if isinstance(embeddings, Tensor) else torch.from_numpy(np.asarray(embeddings))
    rows = rows.detach().to(torch.float64)
    if rows.ndim != 2:
        raise InputError(f"Embeddings must be a table [rows, features], not of shape {tuple(rows.shape)}.")
    if not rows.numel():
        raise InputError(f"Embeddings must have rows and features, not the shape {tuple(rows.shape)}.")
    largest = rows.abs().amax(dim=1, keepdim=True)
    rows = rows / largest  # so that no square overflows or vanishes
    norms = rows.norm(dim=1, keepdim=True)
    bad = torch.nonzero(~torch.isfinite(norms.squeeze(1)) | ~torch.isfinite(largest.squeeze(1))).flatten()
    if len(bad):
        raise InputError(
            f"The embedding of row {int(bad[0])} is zero or not finite ({len(bad)} such rows): "
            "it has no direction to compare."
        )
    unit: Tensor = rows / norms
    return unit


def _check_k(k: int, m: int) -> None:
    if k < 1:
        raise InputError(f"K must be at least 1, not {k}.")
    if k >= m:
        raise InputError(
            f"K = {k} neighbours need at least {k + 1} training structures, but there "
            f"{'is' if m == 1 else 'are'} {m}: add data or choose a smaller K."
        )
