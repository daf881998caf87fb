"""Eq. 1 of the MoMa paper: what a module's embeddings say about the targets, without training.

Every training row is predicted from its K nearest other rows, by cosine similarity of the
embeddings, with weights exp(similarity / T) normalised over the K.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from moma_app.amc.nearest import nearest_rows
from moma_app.amc.neighbours import propagate
from moma_app.errors import InputError


def knn_predictions(
    embeddings: ArrayLike | Tensor,
    targets: ArrayLike,
    k: int = 5,
    temperature: float = 0.2,
    device: torch.device | str = "cpu",
) -> NDArray[np.float64]:
    """Predict every row from its ``k`` nearest other rows (MoMa, Eq. 1).

    Args:
        embeddings: one row per structure, [m, d]; only their directions matter.
        targets: one value per row, [m].
        k: number of neighbours.
        temperature: T in exp(cos / T); the paper has 1, the authors' code 0.2.
        device: where the neighbours are searched.

    Returns:
        Predictions in the unit of the targets, float64 [m]. Equal embeddings, and any other
        ties, are resolved by row order: the lower index is the nearer neighbour.

    Raises:
        InputError: fewer than k + 1 rows, a zero or non-finite embedding or target, or T <= 0.
    """
    values = np.asarray(targets, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("The targets must be a list of finite numbers, one for each structure.")
    nearest = nearest_rows(embeddings, k, device)
    if len(nearest.indices) != len(values):
        raise InputError(f"There are {len(nearest.indices)} embeddings but {len(values)} targets.")
    return propagate(nearest, values, temperature)
