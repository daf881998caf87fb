"""Which structures go through the network together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moma_app.backbones.graphs import GraphSet

MAX_ROWS = 250_000
"""Most graph rows (edges, angles and all others) in one batch; bounds the memory of a step."""
ROW_BYTES = 12_000
"""Memory of one row while a network is trained, at the most.

A forward pass that keeps what the backward pass needs holds 1.2 kB per row for CHGNet and 6.1 kB for
CGCNN (12 structures of mp_bandgap); twice as much leaves room for what lives only for a moment.
"""


def rows_for(device: torch.device) -> int:
    """Return how many rows a batch may have on a device: of a GPU, what half of its free memory holds.

    The number differs from machine to machine, so it suits evaluation, where the result does not
    depend on the batches.
    """
    if device.type != "cuda":
        return MAX_ROWS
    free, _ = torch.cuda.mem_get_info(device)
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(1, (free + idle) // 2 // ROW_BYTES)


def cost(graphs: GraphSet) -> NDArray[np.int64]:
    """Rows of a graph's largest scopes, which time and memory are proportional to, int64 [n]."""
    total: NDArray[np.int64] = np.sum([graphs.count(scope) for scope in graphs.schema.scopes], axis=0)
    return total


def group(
    order: Sequence[int] | NDArray[np.integer[Any]],
    costs: NDArray[np.int64],
    max_structures: int,
    max_rows: int = MAX_ROWS,
) -> Iterator[NDArray[np.int64]]:
    """Cut an order of structures into batches that keep to both limits; a large one goes alone."""
    batch: list[int] = []
    rows = 0
    for index in order:
        extra = int(costs[index])
        if batch and (len(batch) >= max_structures or rows + extra > max_rows):
            yield np.array(batch)
            batch, rows = [], 0
        batch.append(int(index))
        rows += extra
    if batch:
        yield np.array(batch)


def training_batches(
    indices: NDArray[np.integer[Any]],
    costs: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    probabilities: NDArray[np.float64] | None = None,
    edges: NDArray[np.int64] | None = None,
    max_edges: int | None = None,
) -> list[NDArray[np.int64]]:
    """Return the batches of one epoch: a new order every epoch, the same for the same seed.

    With ``max_edges`` a batch ends before the sum of its structures' ``edges`` [n] would exceed it.

    A last batch with a single structure is joined to the one before, because its gradient
    would weigh as much as that of a whole batch.
    """
    generator = np.random.default_rng([seed, epoch])
    if probabilities is None:
        order = generator.permutation(indices)
    else:
        order = generator.choice(indices, size=len(indices), p=probabilities)
    if edges is None or max_edges is None:
        batches = list(group(order, costs, batch_size))
    else:
        batches = list(group(order, edges, batch_size, max_edges))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


def evaluation_batches(
    indices: NDArray[np.integer[Any]],
    costs: NDArray[np.int64],
    max_structures: int = 256,
    max_rows: int = MAX_ROWS,
) -> list[NDArray[np.int64]]:
    """Return batches of similar cell size, largest first, so that a lack of memory shows at once."""
    order = np.asarray(indices)[np.argsort(-costs[indices], kind="stable")]
    return list(group(order, costs, max_structures, max_rows))
