"""Adapters: small trainable layers in a frozen backbone (Houlsby et al., arXiv 1902.00751).

One adapter follows each interaction layer: features + up(ReLU(down(LayerNorm(features)))), with
half the width in the middle. It starts from BERT's initialisation, as in the MoMa paper.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from moma_app.backbones.algebra import apply_linear, apply_norm
from moma_app.backbones.base import Network

INIT_STD = 0.02
"""Standard deviation of BERT's initialisation (Devlin et al., arXiv 1810.04805)."""


class Adapter(nn.Module):
    """Bottleneck with a residual connection.

    Args:
        width: length d of the atom features; the bottleneck has d/2.

    Attributes:
        scale: factor on what is added to the features; 0 makes the adapter the identity.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, width // 2)
        self.scale = 1.0
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, hidden)
        self.up = nn.Linear(hidden, width)
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=INIT_STD)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Adapt atom features [.., n_atoms, d]."""
        hidden = F.relu(apply_linear(apply_norm(features, self.norm), self.down))
        return features + self.scale * apply_linear(hidden, self.up)


def attach_adapters(network: Network, width: int, n_layers: int) -> None:
    """Put a new adapter after each of the ``n_layers`` interaction layers, on the network's device.

    Raises:
        ValueError: the network has adapters already.
    """
    if len(network.adapters):
        raise ValueError(f"The network already has {len(network.adapters)} adapters.")
    like = next(network.parameters())
    network.adapters.extend(Adapter(width).to(like.device, like.dtype) for _ in range(n_layers))


def freeze_all_but_adapters(network: Network) -> None:
    """Let only the adapters be trained.

    Raises:
        ValueError: the network has no adapters, so that nothing would be left to train.
    """
    if not len(network.adapters):
        raise ValueError("The network has no adapters: call attach_adapters first.")
    network.requires_grad_(requires_grad=False)
    network.adapters.requires_grad_(requires_grad=True)


def set_adapter_scale(network: Network, scale: float) -> None:
    """Set the factor on what each adapter adds; 0 gives the bare backbone."""
    for adapter in network.adapters:
        adapter.scale = scale  # type: ignore[assignment]


def adapter_state(network: Network) -> dict[str, Tensor]:
    """Return the adapters' tensors, named as in the network: what a module of kind ``adapter`` holds."""
    return {name: tensor for name, tensor in network.state_dict().items() if name.startswith("adapters.")}
