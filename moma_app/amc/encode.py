"""Crystal embeddings of many structures by many modules."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.base import Backbone, Layers, Pooling, crystal_embedding
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.inference import apply_in_batches
from moma_app.hub.module import Module


def encode(
    module: Module | None,
    backbone: Backbone,
    graphs: GraphSet,
    rows: NDArray[Any] | None = None,
    *,
    layers: Layers,
    pooling: Pooling = "mean",
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return crystal embeddings by one module (``None``: the bare pre-trained backbone), [m, d].

    Args:
        module: whose parameters to use.
        backbone: the module's backbone.
        graphs: of the task's structures.
        rows: which of them, in this order; all by default.
        layers: which interaction layers make up the embedding.
        pooling: mean over atoms, or sum for an extensive property.
        device: where to run.

    Raises:
        IncompatibleError: the module was made for another backbone.
        DamagedFileError: the module's file cannot be read.
    """
    network = backbone.pretrained() if module is None else module.network(backbone)
    network.to(device).eval()
    return apply_in_batches(
        lambda batch: crystal_embedding(network, batch, layers, pooling), graphs, rows, device
    )
