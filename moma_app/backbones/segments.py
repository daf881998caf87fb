"""Gather and scatter along edges, fast both ways because each edge list is sorted once.

``gather`` reads rows of a node array for every edge; ``scatter_sum`` adds edge rows into their
nodes. Each is the other's gradient, so both are differentiable to any order. Sums run over
sorted segments (``embedding_bag``): on a CPU about twice as fast as ``index_add_``, and
deterministic on every device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor


class EdgeIndex:
    """Which node each edge belongs to, with the order in which edges of a node are adjacent.

    Args:
        index: node of each edge, int64 [n_edges].
        n_nodes: number of nodes.
        is_sorted: ``index`` is ascending, so that no sorting is needed.
    """

    def __init__(self, index: Tensor, n_nodes: int, *, is_sorted: bool = False) -> None:
        self.index = index
        self.n_nodes = n_nodes
        self.order = (
            torch.arange(len(index), device=index.device) if is_sorted else torch.argsort(index, stable=True)
        )
        counts = torch.bincount(index, minlength=n_nodes)
        self.offsets = F.pad(counts.cumsum(0), (1, 0))

    def __len__(self) -> int:
        return len(self.index)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, nodes: Tensor, edges: EdgeIndex) -> Tensor:
        ctx.edges = edges
        return nodes.index_select(0, edges.index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return scatter_sum(grad, ctx.edges), None


class _ScatterSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, edges: EdgeIndex) -> Tensor:
        ctx.edges = edges
        if len(edges) == 0:
            return rows.new_zeros(edges.n_nodes, rows.shape[1])
        return F.embedding_bag(
            edges.order, rows.contiguous(), edges.offsets, mode="sum", include_last_offset=True
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return gather(grad, ctx.edges), None


def gather(nodes: Tensor, edges: EdgeIndex) -> Tensor:
    """Return the node row of every edge: [n_nodes, d] -> [n_edges, d]."""
    return _Gather.apply(nodes, edges)  # type: ignore[no-untyped-call, no-any-return]


def scatter_sum(rows: Tensor, edges: EdgeIndex) -> Tensor:
    """Add up the rows of each node's edges: [n_edges, d] -> [n_nodes, d]."""
    return _ScatterSum.apply(rows, edges)  # type: ignore[no-untyped-call, no-any-return]
