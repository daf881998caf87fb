"""Layers as functions whose parameters may be those of several modules at once.

A parameter with one more dimension than usual, [n_modules, ...], is a stack: features then
become [n_modules, rows, width]. What came before the first stacked parameter has no such
dimension, so it is computed once for all modules. The same network code serves both cases.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply x Wᵀ + b; weight [out, in] or [n_modules, out, in], bias [out] or [n_modules, out]."""
    if weight.dim() == 2 and (bias is None or bias.dim() == 1):
        return F.linear(x, weight, bias)
    product = torch.matmul(x, weight.mT)
    return product if bias is None else product + _on_rows(bias)


def apply_linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply a layer whose parameters may be stacked."""
    return linear(x, layer.weight, layer.bias)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Normalise the last dimension (Ba et al., arXiv 1607.06450); weight, bias [d] or [n_modules, d]."""
    shape = weight.shape[-1:]
    if weight.dim() == 1 and bias.dim() == 1:
        return F.layer_norm(x, shape, weight, bias, epsilon)
    normalised = F.layer_norm(x, shape, eps=epsilon)
    return normalised * _on_rows(weight) + _on_rows(bias)


def apply_norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    """Apply a layer norm whose parameters may be stacked."""
    return layer_norm(x, layer.weight, layer.bias, layer.eps)


def look_up(table: Tensor, rows: Tensor) -> Tensor:
    """Return rows of an embedding table: [n, d] or [n_modules, n, d] -> [.., len(rows), d]."""
    return table.index_select(-2, rows)


def _on_rows(vector: Tensor) -> Tensor:
    return vector if vector.dim() == 1 else vector.unsqueeze(-2)
