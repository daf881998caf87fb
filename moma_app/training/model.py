"""A network with a head: crystal embedding in, standardised target out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moma_app.backbones.base import Network, crystal_embedding
from moma_app.backbones.graphs import Batch
from moma_app.choices import Layers, Pooling
from moma_app.training.settings import Activation, HeadConfig

ACTIVATIONS: dict[Activation, type[nn.Module]] = {"silu": nn.SiLU, "softplus": nn.Softplus}


class Head(nn.Module):
    """Multilayer perceptron on standardised crystal embeddings.

    The features of different interaction layers differ in scale by orders of magnitude, so the
    head first standardises them with the mean and standard deviation that :meth:`fit_scaler`
    has seen on the training rows.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, config: HeadConfig | None = None) -> None:
        super().__init__()
        self.config = config or HeadConfig()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        if self.config.pooling == "attention":
            self.attention = nn.Parameter(torch.zeros(width))  # at first all atoms weigh the same
        layers: list[nn.Module] = []
        size = width
        for _ in range(self.config.depth):
            activation = ACTIVATIONS[self.config.activation]()
            layers += [nn.Linear(size, self.config.hidden), activation, nn.Dropout(self.config.dropout)]
            size = self.config.hidden
        layers.append(nn.Linear(size, self.config.outputs))
        self.layers = nn.Sequential(*layers)

    def fit_scaler(self, embeddings: Tensor) -> None:
        """Standardise by these embeddings [m, d] from now on."""
        self.mean.copy_(embeddings.mean(0))
        deviation = embeddings.std(0, correction=0)
        # A feature that is constant over the training rows says nothing; it must not be blown up.
        floor = 1e-6 * deviation.max().clamp_min(1e-6)
        self.scale.copy_(torch.where(deviation > floor, deviation, torch.full_like(deviation, torch.inf)))

    @property
    def gate(self) -> Tensor | None:
        """What atoms are weighted by, on the scale of their features, [d]; ``None`` without attention."""
        return self.attention / self.scale if self.config.pooling == "attention" else None

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings [n, d] to outputs [n, outputs]."""
        result: Tensor = self.layers((embeddings - self.mean) / self.scale)
        return result


class PropertyModel(nn.Module):
    """Backbone network, pooling and head."""

    def __init__(self, network: Network, head: Head, layers: Layers, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.feature_layers = layers
        self.pooling = pooling

    def embed(self, batch: Batch) -> Tensor:
        """Return crystal embeddings [n_structures, d]."""
        return crystal_embedding(self.network, batch, self.feature_layers, self.pooling, self.head.gate)

    def forward(self, batch: Batch) -> Tensor:
        """Return outputs [n_structures, outputs] on the standardised scale of the target."""
        result: Tensor = self.head(self.embed(batch))
        return result


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of the training targets, in the task's unit."""

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, targets: Tensor) -> TargetScale:
        """Return the scale of training targets [m]; constant targets keep the unit scale."""
        std = float(targets.double().std(correction=0)) if len(targets) > 1 else 0.0
        return cls(float(targets.double().mean()), std if std > 0 else 1.0)

    def standardise(self, targets: Tensor) -> Tensor:
        """Map targets to zero mean and unit variance."""
        return (targets - self.mean) / self.std

    def restore(self, outputs: Tensor) -> Tensor:
        """Map outputs back to the task's unit."""
        return outputs * self.std + self.mean


def load_head(width: int, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Head:
    """Rebuild a head from its configuration and tensors, strictly."""
    head = Head(width, HeadConfig(**config))
    head.load_state_dict(dict(state), strict=True)
    return head
