"""Losses on the standardised scale of the target."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from moma_app.training.settings import Loss


def loss_of(outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """Return the mean loss of outputs [n, outputs] against targets [n] (class indices for cross-entropy)."""
    if loss == "cross-entropy":
        return F.cross_entropy(outputs, targets)
    difference = outputs.squeeze(1) - targets
    if loss == "huber":
        return F.huber_loss(difference, torch.zeros_like(difference))
    return difference.abs().mean()
