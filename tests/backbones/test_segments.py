from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from moma_app.backbones.segments import EdgeIndex, gather, scatter_sum


@st.composite
def edge_lists(draw):
    n_nodes = draw(st.integers(1, 6))
    index = draw(st.lists(st.integers(0, n_nodes - 1), max_size=12))
    is_sorted = draw(st.booleans())
    return torch.tensor(sorted(index) if is_sorted else index, dtype=torch.int64), n_nodes, is_sorted


@settings(max_examples=60, deadline=None)
@given(edge_lists(), st.integers(1, 4))
def test_gather_and_scatter_equal_torch_indexing_and_index_add(edges, width):
    index, n_nodes, is_sorted = edges
    edge_index = EdgeIndex(index, n_nodes, is_sorted=is_sorted)
    random = torch.Generator().manual_seed(0)
    nodes = torch.randn(n_nodes, width, dtype=torch.float64, generator=random)
    rows = torch.randn(len(index), width, dtype=torch.float64, generator=random)
    assert len(edge_index) == len(index)
    assert torch.equal(gather(nodes, edge_index), nodes[index])
    expected = torch.zeros(n_nodes, width, dtype=torch.float64).index_add(0, index, rows)
    torch.testing.assert_close(scatter_sum(rows, edge_index), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("index", "n_nodes", "is_sorted"),
    [([0, 0, 1, 3], 4, True), ([2, 0, 2, 1, 0], 4, False), ([], 2, True)],
)
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_first_and_second_derivatives_are_right(check, index, n_nodes, is_sorted):
    edges = EdgeIndex(torch.tensor(index, dtype=torch.int64), n_nodes, is_sorted=is_sorted)
    random = torch.Generator().manual_seed(0)
    nodes = torch.randn(n_nodes, 3, dtype=torch.float64, generator=random, requires_grad=True)
    rows = torch.randn(len(index), 3, dtype=torch.float64, generator=random, requires_grad=True)
    # Squares, because the second derivative of a linear function is zero whatever the code does.
    assert check(lambda x: gather(x, edges) ** 2, (nodes,))
    if index:
        assert check(lambda x: scatter_sum(x, edges) ** 2, (rows,))


def test_a_node_without_edges_gets_zero():
    edges = EdgeIndex(torch.tensor([2, 0]), 4)
    summed = scatter_sum(torch.ones(2, 5), edges)
    assert summed.sum(dim=1).tolist() == [5, 0, 5, 0]
