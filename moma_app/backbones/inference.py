"""Apply a network to many structures, in batches that fit memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.batching import cost, evaluation_batches, rows_for
from moma_app.backbones.graphs import Batch, GraphSet
from moma_app.backbones.loader import Loader
from moma_app.choices import precision_setting
from moma_app.progress import Listener, Step, silent
from moma_app.runtime import arithmetic, prepare


def apply_in_batches(
    function: Callable[[Batch], Tensor],
    graphs: GraphSet,
    rows: NDArray[np.integer[Any]] | None = None,
    device: torch.device | str = "cpu",
    *,
    copies: int = 1,
    progress: Listener = silent,
) -> Tensor:
    """Apply ``function`` (batch -> [.., n_structures, d]) without gradients; rows keep their order.

    Args:
        function: what to apply.
        graphs: of all structures.
        rows: which of them; all by default.
        device: where the batches go.
        copies: how many networks the function applies at once; batches are so much smaller.
        progress: gets a ``Step`` after each batch.

    Returns:
        One row per structure on the CPU, [.., n, d].
    """
    prepare()
    target = torch.device(device)
    chosen = np.arange(len(graphs)) if rows is None else np.asarray(rows)
    batches = evaluation_batches(chosen, cost(graphs), max_rows=rows_for(target) // copies)
    if not batches:
        return torch.empty(0, 0)
    loader = Loader(batches, graphs.batch, Batch.pin_memory, target)
    with torch.inference_mode(), arithmetic(precision_setting(), target):
        # The results stay on the device until all are there: copying each would make the GPU wait.
        parts, done = [], 0
        for batch in loader:
            parts.append(function(batch.to(target)).float())
            done += len(batch)
            progress(
                Step(what="structures encoded", done=done, total=len(chosen), fraction=done / len(chosen))
            )
        values = torch.cat(parts, dim=-2).cpu()
        position = np.full(len(graphs), -1)
        position[np.concatenate(batches)] = np.arange(len(chosen))
        return values[..., torch.from_numpy(position[chosen]), :].clone()
