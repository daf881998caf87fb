"""Gated messages along edges: what nearly all of CHGNet's time goes into.

A message depends on a few table rows, such as those of the central atom, the bond and the
neighbour, after the first linear layer of a gated MLP was split by blocks and each block was
applied where its input lives:

    first = p[i] + q[j] + r[k]     or, with features of the row itself,   p[i] + q[j] + X x
    message = silu(norm(W silu(core) + b)) * sigmoid(norm(W' silu(gate) + b')) * w[j]

with core and gate the halves of ``first``; an MLP without a hidden layer has core and gate alone.

On a CPU the messages are made and summed block by block in a compiled kernel
(``gated_kernel``), and never stand in memory all at once. Everywhere else PyTorch does the same
(``messages``).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from moma_app.backbones.gated_kernel import native_messages
from moma_app.backbones.messages import WIDTH, Parts, Rows, messages

__all__ = ["WIDTH", "First", "GatedTail", "Rows", "gated_messages"]


class GatedTail(nn.Module):
    """Parameters of what follows the first linear layer of a gated MLP.

    Args:
        hidden: whether a second linear layer stands between silu and norm.
    """

    def __init__(self, *, hidden: bool) -> None:
        super().__init__()
        self.core = nn.Linear(WIDTH, WIDTH) if hidden else None
        self.gate = nn.Linear(WIDTH, WIDTH) if hidden else None
        self.core_norm = nn.LayerNorm(WIDTH)
        self.gate_norm = nn.LayerNorm(WIDTH)


@dataclass(frozen=True, eq=False)
class First:
    """The first layer's output by its parts; see the formula above.

    Attributes:
        p, q: tables, [.., n, 128].
        r: a table, [.., n, 128], or ``None``.
        x: features of the rows, [.., n_rows, d <= 64], or ``None``.
        x_weight: matrix that acts on them, [.., 128, d].
    """

    p: Tensor
    q: Tensor
    r: Tensor | None = None
    x: Tensor | None = None
    x_weight: Tensor | None = None


def gated_messages(
    rows: Rows, first: First, tail: GatedTail, weights: Tensor | None = None, *, summed: bool
) -> Tensor:
    """Compute the messages of all rows.

    Args:
        rows: which table rows they read.
        first: output of the first layer, by its parts.
        tail: the layers that follow.
        weights: factors on the messages by ``rows.j``, [.., n, 64].
        summed: add up the messages of equal ``rows.i``.

    Returns:
        [.., n_nodes of i, 64] if ``summed``, else [.., n_rows, 64].
    """
    core, gate = tail.core, tail.gate
    parts = Parts(
        p=first.p,
        q=first.q,
        r=first.r,
        x=first.x,
        x_weight=first.x_weight,
        weights=weights,
        core_weight=None if core is None else core.weight,
        gate_weight=None if gate is None else gate.weight,
        core_bias=None if core is None else core.bias,
        gate_bias=None if gate is None else gate.bias,
        core_norm_weight=tail.core_norm.weight,
        gate_norm_weight=tail.gate_norm.weight,
        core_norm_bias=tail.core_norm.bias,
        gate_norm_bias=tail.gate_norm.bias,
    )
    result = native_messages(rows, parts, summed=summed)
    return messages(rows, parts, summed=summed) if result is None else result
