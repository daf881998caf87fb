"""Eq. 1 of the MoMa paper: what a module's embeddings say about the targets, without training.

Every training row is predicted from its K nearest other rows, by cosine similarity of the
embeddings, with weights exp(similarity / T) normalised over the K.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from moma_app.errors import InputError

BLOCK_BYTES = 64 * 2**20
"""Memory for one block of similarities."""
SPARE = 8
"""Candidates beyond K that are taken from the float32 search and ranked again in float64."""
DECIMALS = 12
"""Similarities that agree to so many decimals are a tie, which the lower row index wins."""


class NearestRows(NamedTuple):
    """The K nearest other rows of every row, nearest first.

    Attributes:
        indices: row numbers, int64 [m, k].
        similarities: cosine similarities, float64 [m, k].
    """

    indices: NDArray[np.int64]
    similarities: NDArray[np.float64]


def nearest_rows(embeddings: ArrayLike | Tensor, k: int, device: torch.device | str = "cpu") -> NearestRows:
    """Find the ``k`` other rows of highest cosine similarity; ties go to the lower row index.

    Works in blocks: the m x m matrix is never held in memory. Candidates are found in float32
    and ranked in float64, so that the result does not depend on block size or device.

    Args:
        embeddings: one row per structure, [m, d].
        k: number of neighbours, at least 1 and less than m.
        device: where the similarities are computed.

    Raises:
        InputError: ``k`` does not fit the number of rows, or a row is zero or not finite.
    """
    unit = _unit_rows(embeddings).to(device)
    m = len(unit)
    _check_k(k, m)
    search = unit.float()
    n_candidates = min(m - 1, k + SPARE)
    rows_per_block = max(1, min(m, BLOCK_BYTES // (4 * m)))
    indices = np.empty((m, k), dtype=np.int64)
    similarities = np.empty((m, k), dtype=np.float64)
    for start in range(0, m, rows_per_block):
        rows = torch.arange(start, min(start + rows_per_block, m), device=unit.device)
        block = search[rows] @ search.T
        block[torch.arange(len(rows)), rows] = -torch.inf  # leave one out
        coarse, candidates = block.topk(n_candidates, dim=1)
        chosen, exact = _rank(unit, rows, candidates, k)
        # The float32 search may have missed rows that are as near as the k-th of those it found.
        if n_candidates < m - 1:
            unsure = coarse[:, -1].double() > exact[:, -1] - 1e-5
            if unsure.any():
                chosen[unsure], exact[unsure] = _rank_all(unit, rows[unsure], k)
        indices[start : start + len(rows)] = chosen.cpu().numpy()
        similarities[start : start + len(rows)] = exact.cpu().numpy()
    return NearestRows(indices, similarities)


def knn_predictions(
    embeddings: ArrayLike | Tensor, targets: ArrayLike, k: int = 5, temperature: float = 0.2
) -> NDArray[np.float64]:
    """Predict every row from its ``k`` nearest other rows (MoMa, Eq. 1).

    Args:
        embeddings: one row per structure, [m, d]; only their directions matter.
        targets: one value per row, [m].
        k: number of neighbours.
        temperature: T in exp(cos / T); the paper has 1, the authors' code 0.2.

    Returns:
        Predictions in the unit of the targets, float64 [m]. Equal embeddings, and any other
        ties, are resolved by row order: the lower index is the nearer neighbour.

    Raises:
        InputError: fewer than k + 1 rows, a zero or non-finite embedding or target, or T <= 0.
    """
    values = np.asarray(targets, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("The targets must be a list of finite numbers, one for each structure.")
    nearest = nearest_rows(embeddings, k)
    if len(nearest.indices) != len(values):
        raise InputError(f"There are {len(nearest.indices)} embeddings but {len(values)} targets.")
    return propagate(nearest, values, temperature)


def propagate(nearest: NearestRows, targets: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Average the neighbours' targets with weights exp(similarity / T): float64 [m].

    Raises:
        InputError: the temperature is not positive.
    """
    if not temperature > 0:
        raise InputError(f"The temperature T must be positive, not {temperature:g}.")
    # Subtracting the largest similarity leaves the normalised weights as they are, without overflow.
    logits = (nearest.similarities - nearest.similarities[:, :1]) / temperature
    weights = np.exp(logits)
    weights /= weights.sum(axis=1, keepdims=True)
    result: NDArray[np.float64] = np.einsum("mk,mk->m", weights, targets[nearest.indices])
    return result


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


def _rank(unit: Tensor, rows: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Order candidates [b, c] by float64 similarity, then row index; return the first k of each row."""
    candidates = candidates.sort(dim=1).values  # ascending index: a stable sort then breaks ties by it
    exact = torch.einsum("bd,bcd->bc", unit[rows], unit[candidates]).round(decimals=DECIMALS)
    exact, order = exact.sort(dim=1, descending=True, stable=True)
    return candidates.gather(1, order[:, :k]), exact[:, :k]


def _rank_all(unit: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """As :func:`_rank` with every row as candidate, for rows with many near ties."""
    chosen, exact = [], []
    for part in torch.split(rows, max(1, BLOCK_BYTES // (16 * len(unit)))):
        block = (unit[part] @ unit.T).round(decimals=DECIMALS)
        block[torch.arange(len(part)), part] = -torch.inf
        values, order = block.sort(dim=1, descending=True, stable=True)
        chosen.append(order[:, :k])
        exact.append(values[:, :k])
    return torch.cat(chosen), torch.cat(exact)
