"""Freezing pays: what stays the same in a fit is computed before it, not in every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from moma_app.backbones.base import EMBEDDING
from moma_app.backbones.frozen import below_last_layer, with_features
from moma_app.backbones.graphs import Batch, Field
from moma_app.progress import Listener, silent
from moma_app.training.fit_module import FitData
from moma_app.training.model import PropertyModel
from moma_app.training.settings import Trainable


def with_frozen_features(
    model: PropertyModel,
    data: FitData,
    trainable: Trainable,
    device: torch.device,
    progress: Listener = silent,
) -> FitData:
    """Return the data with the frozen part's features in its graphs, where a part is frozen.

    Raises:
        InputError: the backbone cannot train its last layer alone.
    """
    if trainable not in ("last", "head") or (trainable == "head" and model.pooling == "attention"):
        return data  # attention is part of the head, but below the crystals' embeddings
    rows = np.union1d(data.train, data.val)
    model.to(device).eval()
    if trainable == "last":
        return replace(data, graphs=below_last_layer(model.network, data.graphs, rows, device, progress))

    def embed(batch: Batch) -> dict[str, Tensor]:
        return {EMBEDDING: model.embed(batch)}

    width = (len(model.head.mean),)
    fields = {EMBEDDING: Field("structure", "float32", shape=width)}
    graphs = with_features(
        data.graphs, rows, embed, fields=fields, keep=("numbers",), device=device, progress=progress
    )
    return replace(data, graphs=graphs)
