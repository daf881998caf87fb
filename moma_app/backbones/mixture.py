"""Several networks of one backbone side by side, for modules whose parameters cannot be averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from moma_app.backbones.base import BackboneInfo, Network
from moma_app.backbones.graphs import Batch
from moma_app.choices import Layers


class Mixture(Network):
    """A network whose features are those of its experts, one expert's after the other's.

    Each expert keeps its own parameters, so the experts need not share an initialisation. Features
    are put side by side and not added: channel 7 of one network has nothing to do with channel 7 of
    another.

    Attributes:
        experts: networks of one backbone.
    """

    def __init__(self, experts: Sequence[Network]) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)

    def forward(self, batch: Batch) -> list[Tensor]:
        """Return atom features after every interaction layer, each [n_atoms, experts × width]."""
        outputs = [expert(batch) for expert in self.experts]
        return [torch.cat(layer, dim=-1) for layer in zip(*outputs, strict=True)]


def gates(weights: Sequence[float], info: BackboneInfo, layers: Layers) -> NDArray[np.float64]:
    """Return the share that each feature of a mixture's embeddings has in a squared distance, [d].

    The squared distance of two structures is then the weighted mean of the experts' own squared
    distances. The shares have mean 1.

    Args:
        weights: of the experts, with sum 1.
        info: of their backbone.
        layers: what makes up an embedding.
    """
    of_layer = np.repeat(np.asarray(weights, dtype=np.float64) * len(weights), info.width)
    return np.tile(of_layer, info.n_layers if layers == "all" else 1)
