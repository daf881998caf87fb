"""Gated messages in PyTorch: on any device, differentiable to any order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from moma_app.backbones.algebra import layer_norm, linear
from moma_app.backbones.segments import EdgeIndex, gather, scatter_sum
from moma_app.native.shares import Share, n_shares, split_rows

WIDTH = 64
"""Length of a message; the compiled kernel is made for this width."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Which table rows each message reads.

    Attributes:
        i: row of p, ascending; messages are summed over equal i.
        j: row of q and of the weights.
        k: row of r, or ``None`` where rows have features of their own.
        ptr: messages ptr[s]:ptr[s+1] belong to structure s, int64; structures share no table rows.
    """

    i: EdgeIndex
    j: EdgeIndex
    k: EdgeIndex | None
    ptr: Tensor

    def __len__(self) -> int:
        return len(self.i)

    @cached_property
    def shares_by_sum(self) -> list[Share]:
        """Shares of the rows for threads, such that one thread adds up the messages of a node."""
        return split_rows(self.i.offsets, n_shares())

    @cached_property
    def shares_by_structure(self) -> list[Share]:
        """Shares of the rows for threads that touch no table row in common."""
        return split_rows(self.ptr, n_shares())


class Parts(NamedTuple):
    """All tensors that messages are made of; see the formula in :mod:`moma_app.backbones.gated`.

    Any of them may have one more dimension in front, one entry for each of several modules.

    Attributes:
        p, q, r: tables, [n, 128]; r or x is there.
        x, x_weight: features of the rows, [n_rows, d], and the matrix that acts on them, [128, d].
        weights: factors on the messages, [n, 64], or ``None``.
        core_weight, gate_weight, core_bias, gate_bias: of the hidden layer, or all ``None``.
        core_norm_weight, gate_norm_weight, core_norm_bias, gate_norm_bias: of the norms.
    """

    p: Tensor
    q: Tensor
    r: Tensor | None
    x: Tensor | None
    x_weight: Tensor | None
    weights: Tensor | None
    core_weight: Tensor | None
    gate_weight: Tensor | None
    core_bias: Tensor | None
    gate_bias: Tensor | None
    core_norm_weight: Tensor
    gate_norm_weight: Tensor
    core_norm_bias: Tensor
    gate_norm_bias: Tensor


def messages(rows: Rows, parts: Parts, *, summed: bool) -> Tensor:
    """Return messages [.., n_rows, 64], or summed over equal ``rows.i`` [.., n_nodes, 64]."""
    first = gather(parts.p, rows.i) + gather(parts.q, rows.j)
    if parts.x is not None and parts.x_weight is not None:
        first = first + linear(parts.x, parts.x_weight)
    elif parts.r is not None and rows.k is not None:
        first = first + gather(parts.r, rows.k)
    core, gate = first[..., :WIDTH], first[..., WIDTH:]
    if parts.core_weight is not None and parts.gate_weight is not None:
        core = linear(F.silu(core), parts.core_weight, parts.core_bias)
        gate = linear(F.silu(gate), parts.gate_weight, parts.gate_bias)
    core = layer_norm(core, parts.core_norm_weight, parts.core_norm_bias)
    gate = layer_norm(gate, parts.gate_norm_weight, parts.gate_norm_bias)
    result = F.silu(core) * torch.sigmoid(gate)
    if parts.weights is not None:
        result = result * gather(parts.weights, rows.j)
    return scatter_sum(result, rows.i) if summed else result
