"""The nearest rows by the compiled kernel, where it applies."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from moma_app.amc.nearest_block import CROWD, nearest_of_all
from moma_app.amc.neighbours import NearestRows
from moma_app.native.build import kernels
from moma_app.native.shares import n_shares, run_shares

COLUMNS = 64
"""Rows that lie side by side in the kernel's copy of the table."""
PARTS = 16
"""Parts that the rows are cut into at least: a pair of parts is compared once, a part with itself twice."""
Span = tuple[int, int]

_INTEGERS = ("begin", "end", "column_begin", "column_end", "m", "d", "k", "capacity")
_TABLES = ("packed", "rows", "exact", "thresholds", "largest", "found", "columns", "counts")
_RESULTS = ("indices", "similarities", "given_up")


class _Search(ctypes.Structure):
    """The C structure ``Search``, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS),
        *((name, ctypes.c_void_p) for name in _TABLES),
        ("margin", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _RESULTS),
    )


def nearest_by_kernel(unit: Tensor, k: int, error: float) -> NearestRows | None:
    """Find the ``k`` nearest other rows of every row.

    Args:
        unit: rows of length 1, float64 on the CPU, [m, d].
        k: number of neighbours, less than m.
        error: most by which a product of two rows in float32 may be off.

    Returns:
        ``None`` where there is no compiled kernel.
    """
    library = kernels().library
    if library is None:
        return None
    m, d = unit.shape
    capacity = CROWD + 4 * k
    rows = unit.float()
    packed = pad(rows, (0, 0, 0, -m % COLUMNS)).view(-1, COLUMNS, d).mT.contiguous()
    thresholds = np.full(len(packed) * COLUMNS, np.inf, dtype=np.float32)
    thresholds[:m] = -np.inf
    found = NearestRows(np.empty((m, k), dtype=np.int64), np.empty((m, k)))
    arrays: dict[str, NDArray[Any]] = {
        "thresholds": thresholds,
        "largest": np.full((m, k), -np.inf, dtype=np.float32),
        "found": np.empty((m, capacity), dtype=np.float32),
        "columns": np.empty((m, capacity), dtype=np.int32),
        "counts": np.zeros(m, dtype=np.int32),
        "indices": found.indices,
        "similarities": found.similarities,
        "given_up": np.zeros(m, dtype=np.int8),
    }
    exact = unit.contiguous()
    pointers = {name: array.ctypes.data for name, array in arrays.items()}
    pointers |= {
        name: tensor.data_ptr() for name, tensor in (("packed", packed), ("rows", rows), ("exact", exact))
    }
    common = {"m": m, "d": d, "k": k, "capacity": capacity, "margin": 2 * error, **pointers}

    def run(function: str, blocks: list[tuple[Span, Span]]) -> None:
        searches = [
            _Search(begin=r[0], end=r[1], column_begin=c[0], column_end=c[1], **common) for r, c in blocks
        ]
        run_shares(getattr(library, function), [ctypes.byref(search) for search in searches])

    parts = _parts(m, max(PARTS, 2 * n_shares()))
    for blocks in _rounds(parts):
        run("moma_compare", blocks)
    run("moma_rank", [(part, part) for part in parts])
    left = np.flatnonzero(arrays["given_up"])
    if len(left):
        found.indices[left], found.similarities[left] = nearest_of_all(unit, torch.from_numpy(left), k)
    return found


def _parts(m: int, n: int) -> list[Span]:
    """Cut ``m`` rows into at most ``n`` parts that begin at multiples of :data:`COLUMNS`."""
    length = -(-m // (n * COLUMNS)) * COLUMNS
    return [(start, min(start + length, m)) for start in range(0, m, length)]


def _rounds(parts: list[Span]) -> Iterator[list[tuple[Span, Span]]]:
    """Yield all pairs of parts, each part with itself first, in rounds in which no part comes twice.

    The pairs of a round can be worked on at the same time. It is the schedule of a tournament:
    the first stays where it is, the others go round.
    """
    yield [(part, part) for part in parts]
    circle: list[Span | None] = [*parts, None] if len(parts) % 2 else [*parts]
    for _ in range(len(circle) - 1):
        half = len(circle) // 2
        facing = zip(circle[:half], reversed(circle[half:]), strict=True)
        yield [(a, b) for a, b in facing if a is not None and b is not None]
        circle = [circle[0], circle[-1], *circle[1:-1]]
