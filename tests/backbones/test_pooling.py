"""How atoms become a crystal: each way against NumPy, and attention as a mean that has learned nothing yet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.build import bulk

from moma_app.backbones.base import pool
from moma_app.backbones.registry import get_backbone
from moma_app.backbones.stacking import embed_with_all


@pytest.fixture(scope="module")
def batch():
    graphs = get_backbone("cgcnn").graphs([bulk("NaCl", "rocksalt", a=5.64), bulk("Mg"), bulk("Cu")])
    return graphs.batch(range(3))


@pytest.mark.parametrize("leading", [(), (2,)])
def test_each_pooling_is_its_definition(batch, leading):
    torch.manual_seed(0)
    features, gate = torch.randn(*leading, 5, 4), torch.randn(*leading, 4)
    scores = np.einsum("...nd,...d->...n", features.numpy(), gate.numpy())
    for pooling in ("mean", "sum", "max", "attention"):
        found = pool(features, batch, pooling, gate).numpy()
        start = 0
        for place, count in enumerate(batch.n_atoms.tolist()):
            own = features[..., start : start + count, :].numpy()
            weights = np.exp(scores[..., start : start + count])
            weights /= weights.sum(-1, keepdims=True)
            expected = {
                "mean": own.mean(-2),
                "sum": own.sum(-2),
                "max": own.max(-2),
                "attention": (weights[..., None] * own).sum(-2),
            }[pooling]
            np.testing.assert_allclose(found[..., place, :], expected, rtol=1e-5, atol=1e-6)
            start += count
        assert start == features.shape[-2]


def test_attention_survives_large_scores_and_has_a_gradient(batch):
    features = torch.randn(5, 4, requires_grad=True)
    gate = torch.full((4,), 1e4, requires_grad=True)
    pool(features, batch, "attention", gate).sum().backward()
    assert torch.isfinite(features.grad).all()
    assert torch.isfinite(gate.grad).all()
    even = pool(features, batch, "attention", torch.zeros(4))
    torch.testing.assert_close(even, pool(features, batch, "mean"))


def test_modules_with_gates_of_their_own_are_stacked():
    backbone = get_backbone("chgnet")
    graphs = backbone.graphs([bulk("NaCl", "rocksalt", a=5.64), bulk("Mg")])
    networks = [backbone.pretrained().eval() for _ in range(2)]
    with torch.no_grad():
        networks[1].atom_convs[0].out.weight.mul_(1.1)
        gates = [torch.randn(backbone.feature_width("last")) for _ in networks]
        both = embed_with_all(networks, "last", "attention", gates)(graphs.batch(range(2)))
        for network, gate, found in zip(networks, gates, both, strict=True):
            alone = embed_with_all([network], "last", "attention", [gate])(graphs.batch(range(2)))[0]
            torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)
