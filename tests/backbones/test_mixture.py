"""Networks side by side: each expert's features as they are, distances gated by weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moma_app.backbones import cgcnn
from moma_app.backbones.base import crystal_embedding, pool
from moma_app.backbones.mixture import Mixture, gates

BACKBONE = cgcnn.backbone()
LAYERS = ["all", "last", "last-softplus"]


@pytest.fixture(scope="module")
def experts():
    torch.manual_seed(0)
    return [BACKBONE.network().eval() for _ in range(3)]


@pytest.fixture
def batch(crystals):
    return BACKBONE.graphs(crystals).batch(range(len(crystals)))


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_a_softplus_acts_on_means_whatever_the_size_of_the_cell(experts, batch, pooling):
    with torch.no_grad():
        last = experts[0](batch)[-1]
        embedding = crystal_embedding(experts[0], batch, "last-softplus", pooling)
    expected = torch.nn.functional.softplus(pool(last, batch, "mean"))
    if pooling == "sum":
        expected = expected * batch.n_atoms.unsqueeze(1)
    torch.testing.assert_close(embedding, expected)
    assert len(set(batch.n_atoms.tolist())) > 1


@pytest.mark.parametrize("layers", LAYERS)
def test_the_features_are_those_of_each_expert(experts, batch, layers):
    info = BACKBONE.info
    with torch.no_grad():
        together = crystal_embedding(Mixture(experts), batch, layers)
        alone = [crystal_embedding(expert, batch, layers) for expert in experts]
    n_layers = info.n_layers if layers == "all" else 1
    assert together.shape == (len(batch.n_atoms), 3 * info.width * n_layers)
    blocks = together.reshape(-1, n_layers, 3, info.width)
    for number, embedding in enumerate(alone):
        torch.testing.assert_close(blocks[:, :, number].flatten(1), embedding)


@given(
    weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    layers=st.sampled_from(LAYERS),
    seed=st.integers(0, 99),
)
def test_a_gated_distance_is_the_weighted_mean_of_the_experts_distances(weights, layers, seed):
    weights = np.array(weights) / sum(weights)
    info = BACKBONE.info
    n_layers = info.n_layers if layers == "all" else 1
    difference = np.random.default_rng(seed).normal(size=(n_layers, len(weights), info.width))
    share = gates(weights.tolist(), info, layers)
    assert share.mean() == pytest.approx(1)
    gated = np.mean(share * difference.reshape(-1) ** 2)
    of_experts = (difference**2).mean(axis=(0, 2))
    assert gated == pytest.approx(weights @ of_experts)
