"""Several networks of one backbone applied to a batch at once.

What does not depend on the module is computed once for all: the batch, the expansion of lengths
and angles, and under adapters everything before the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from moma_app.backbones.base import Network, crystal_embedding, embed_atoms
from moma_app.backbones.graphs import Batch
from moma_app.choices import Layers, Pooling


def embed_with_all(
    networks: Sequence[Network],
    layers: Layers,
    pooling: Pooling = "mean",
    gates: Sequence[Tensor] | None = None,
) -> Callable[[Batch], Tensor]:
    """Return a function that embeds a batch by every network: batch -> [n_networks, n_structures, d].

    Args:
        networks: of one backbone and kind, in evaluation mode on the same device.
        layers: which interaction layers make up the embedding.
        pooling: how atoms become a crystal, see :func:`moma_app.backbones.base.pool`.
        gates: of attention, one for each network.
    """
    first = networks[0]
    if not first.stackable:
        of_each: Sequence[Tensor | None] = gates or [None] * len(networks)
        return lambda batch: torch.stack(
            [
                crystal_embedding(network, batch, layers, pooling, gate)
                for network, gate in zip(networks, of_each, strict=True)
            ]
        )
    gate = None if gates is None else torch.stack(list(gates))
    tensors = _stack([{**dict(n.named_parameters()), **dict(n.named_buffers())} for n in networks])

    def embed(batch: Batch) -> Tensor:
        outputs: list[Tensor] = functional_call(first, tensors, (batch,))
        width = max(output.dim() for output in outputs)
        if width == 3:  # layers before the first that differs have no module dimension
            outputs = [output.expand(len(networks), -1, -1) for output in outputs]
        embeddings = embed_atoms(outputs, batch, layers, pooling, gate)
        return embeddings if embeddings.dim() == 3 else embeddings.expand(len(networks), -1, -1)

    return embed


def _stack(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack tensors that differ between modules, [n_modules, ...]; one that all share stays as it is."""
    result = {}
    for name, first in states[0].items():
        same = all(torch.equal(first, state[name]) for state in states[1:])
        result[name] = first.detach() if same else torch.stack([state[name].detach() for state in states])
    return result
