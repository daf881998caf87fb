"""The nearest rows of a block of rows: a search in float32, and its few finds ranked in float64."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from moma_app.amc.neighbours import NearestRows

GROUP = 8
"""Similarities whose maximum stands for them, and maxima whose maximum does."""
CROWD = 64
"""With more similarities than this near the k-th, on average over a block, the crowded rows leave the search."""
DECIMALS = 12
"""Similarities that agree to so many decimals are a tie, which the lower row index wins."""
ROWS_IN_FLOAT64 = 32
"""Rows that are compared with all others at a time: each similarity takes about 20 bytes there."""


class _Pairs(NamedTuple):
    """Rows of a block and possible neighbours.

    Attributes:
        queries: number of the row in its block, int64 [p].
        columns: row number of the possible neighbour, int64 [p].
        similarities: [p].
    """

    queries: Tensor
    columns: Tensor
    similarities: Tensor


def levels_of_maxima(m: int, k: int) -> int:
    """How often to replace ``m`` similarities by maxima of groups before looking for the ``k`` largest."""
    levels = 0
    while m // GROUP ** (levels + 1) >= 8 * k:
        levels += 1
    return levels


def rounding_error(d: int) -> float:
    """Return the most that rounding in float32 adds up to in a product of two rows of length 1."""
    return (d + 4) * 2.0**-24


def nearest_in_block(block: Tensor, unit: Tensor, rows: slice, k: int, levels: int) -> NearestRows:
    """Find the neighbours of some consecutive rows.

    Args:
        block: similarities of all rows to them in float32, [M, b], overwritten. M is m rounded up to
            a multiple of GROUP ** levels. It may be on another device than ``unit``.
        unit: all rows in float64, of length 1, [m, d].
        rows: which to find neighbours for, b of them.
        k: number of neighbours.
        levels: see :func:`levels_of_maxima`.
    """
    (m, d), b = unit.shape, block.shape[1]
    block[m:] = -torch.inf
    block.diagonal(-rows.start).fill_(-torch.inf)  # leave one out
    error = rounding_error(d)
    coarse = _Pairs(*(part.to(unit.device) for part in _near_pairs(block, k, levels, 2 * error)))
    exact = unit[rows].index_select(0, coarse.queries)
    exact = exact.mul_(unit.index_select(0, coarse.columns)).sum(dim=1)
    pairs = coarse._replace(similarities=exact.round(decimals=DECIMALS))
    if ((coarse.similarities - exact).abs() > error).any():  # a GPU may be set to multiply more coarsely
        pairs = _Pairs(*(part[:0] for part in pairs))
    found = NearestRows(np.empty((b, k), dtype=np.int64), np.empty((b, k)))
    queries, columns, similarities = (part.cpu().numpy() for part in pairs)
    order = np.lexsort((columns, -similarities, queries))
    counts = np.bincount(queries, minlength=b)
    ranked = np.flatnonzero(counts)
    first_k = order[(np.cumsum(counts) - counts)[ranked, None] + np.arange(k)]
    found.indices[ranked], found.similarities[ranked] = columns[first_k], similarities[first_k]
    left = np.flatnonzero(counts == 0)
    if len(left):
        found.indices[left], found.similarities[left] = nearest_of_all(
            unit, torch.from_numpy(rows.start + left), k
        )
    return found


def nearest_of_all(unit: Tensor, rows: Tensor, k: int) -> NearestRows:
    """Compare some rows with all others in float64, for rows with many near ties.

    Args:
        unit: all rows in float64, of length 1, [m, d].
        rows: which to find neighbours for, int64.
        k: number of neighbours.
    """
    found = NearestRows(np.empty((len(rows), k), dtype=np.int64), np.empty((len(rows), k)))
    for start in range(0, len(rows), ROWS_IN_FLOAT64):
        some = rows[start : start + ROWS_IN_FLOAT64].to(unit.device)
        queries, columns, similarities = (part.cpu().numpy() for part in _nearest_of_all(unit, some, k))
        order = np.lexsort((columns, -similarities, queries)).reshape(-1, k)
        part = slice(start, start + len(some))
        found.indices[part], found.similarities[part] = columns[order], similarities[order]
    return found


def _near_pairs(block: Tensor, k: int, levels: int, margin: float) -> _Pairs:
    """Return the pairs whose similarity may be among the ``k`` largest of their column of the block.

    The k-th largest maximum of groups is at most the k-th largest similarity, and only groups
    whose maximum reaches it hold similarities that do: the block is read once, and the rest looks
    at few of its entries. Columns where very many entries reach it may be left out.

    Args:
        block: similarities to all rows, [M, b].
        k: number of neighbours.
        levels: see :func:`levels_of_maxima`.
        margin: how far below the k-th largest a similarity may be.
    """
    b = block.shape[1]
    tables = [block]
    for _ in range(levels):  # row r of [h, b] belongs to group r mod (h / GROUP)
        tables.append(tables[-1].view(GROUP, -1, b).amax(dim=0))
    coarse = tables[-1]
    while len(coarse) >= 16 * k:
        coarse = torch.maximum(*coarse[: len(coarse) // 2 * 2].chunk(2))
    least = coarse.T.contiguous().topk(k, dim=1, sorted=False).values.amin(dim=1) - margin
    places = _true_places(tables.pop() >= least)  # of entries in a table, counted along its rows
    while tables:
        places = _without_crowds(places, b, k)
        table = tables.pop()
        members = (
            places + torch.arange(0, table.numel(), table.numel() // GROUP, device=table.device)[:, None]
        )
        reached = _true_places(table.take(members) >= least[places % b])
        places = members.take(reached)
    places = _without_crowds(places, b, k)
    return _Pairs(places % b, places // b, block.take(places))


def _true_places(table: Tensor) -> Tensor:
    return torch.nonzero(table.flatten()).flatten()


def _without_crowds(places: Tensor, b: int, k: int) -> Tensor:
    """Leave out the columns that hold most of the places if there are too many of these."""
    if len(places) <= b * (CROWD + 4 * k):
        return places
    crowded = torch.bincount(places % b, minlength=b) > CROWD + 4 * k
    return places[~crowded[places % b]]


def _nearest_of_all(unit: Tensor, rows: Tensor, k: int) -> _Pairs:
    """Compare some rows with all others in float64, for rows with many near ties."""
    block = (unit[rows] @ unit.T).round(decimals=DECIMALS)
    block[torch.arange(len(rows)), rows] = -torch.inf
    least = block.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    nearer, tied = block > least, block == least
    places_left = k - nearer.sum(dim=1, keepdim=True)
    queries, columns = torch.nonzero(nearer | (tied & (tied.cumsum(dim=1) <= places_left)), as_tuple=True)
    return _Pairs(queries, columns, block[queries, columns])
