"""Apply a network to many structures, in batches that fit memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.batching import cost, evaluation_batches
from moma_app.backbones.graphs import Batch, GraphSet
from moma_app.runtime import prepare


def apply_in_batches(
    function: Callable[[Batch], Tensor],
    graphs: GraphSet,
    rows: NDArray[np.integer[Any]] | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Apply ``function`` (batch -> [n_structures, d]) without gradients; rows keep their order.

    Returns:
        One row per structure on the CPU, [n, d].
    """
    prepare()
    chosen = np.arange(len(graphs)) if rows is None else np.asarray(rows)
    position = np.full(len(graphs), -1)
    position[chosen] = np.arange(len(chosen))
    result: Tensor | None = None
    with torch.inference_mode():
        for indices in evaluation_batches(chosen, cost(graphs)):
            values = function(graphs.batch(indices).to(device)).float().cpu()
            if result is None:
                result = torch.empty(len(chosen), values.shape[1])
            result[torch.from_numpy(position[indices])] = values
    return torch.empty(0, 0) if result is None else result.clone()
