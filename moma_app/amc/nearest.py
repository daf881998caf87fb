"""The K nearest other rows of every row, by cosine similarity, without the matrix of all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import pad

from moma_app.amc.nearest_block import (
    GROUP,
    levels_of_maxima,
    nearest_in_block,
    rounding_error,
)
from moma_app.amc.nearest_kernel import nearest_by_kernel
from moma_app.amc.neighbours import NearestRows, check_k
from moma_app.errors import InputError

BLOCK_ROWS = 256
"""Rows whose similarities are in memory at a time, in float32: 1 KiB for every row there is."""


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
    m, d = unit.shape
    check_k(k, m)
    by_kernel = nearest_by_kernel(unit, k, rounding_error(d)) if device.type == "cpu" else None
    if by_kernel is not None:
        return by_kernel
    levels = levels_of_maxima(m, k)
    search = pad(unit.float(), (0, 0, 0, -m % GROUP**levels)).to(device)
    if device.type != "mps":  # which has no float64: the few candidates are then ranked on the CPU
        unit = unit.to(device)
    found = NearestRows(np.empty((m, k), dtype=np.int64), np.empty((m, k)))
    memory = search.new_empty(len(search) * min(BLOCK_ROWS, m))  # one for all blocks: new memory is slow
    for first in range(0, m, BLOCK_ROWS):
        rows = slice(first, min(first + BLOCK_ROWS, m))
        block = memory[: len(search) * (rows.stop - first)].view(len(search), -1)
        torch.mm(search, search[rows].T, out=block)  # [m, b] is faster to make and to read than [b, m]
        found.indices[rows], found.similarities[rows] = nearest_in_block(block, unit, rows, k, levels)
    return found


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
