"""Learning rates by layer."""

from __future__ import annotations

import dataclasses

import pytest

from moma_app.backbones.adapters import attach_adapters
from moma_app.backbones.registry import get_backbone
from moma_app.training.loop import choose_trainable
from moma_app.training.rates import layer_heights, parameter_groups
from moma_app.training.settings import FitConfig


def test_heights_rise_from_the_embeddings_to_the_norm(chgnet):
    network = chgnet.network()
    attach_adapters(network, chgnet.info.width, chgnet.info.n_layers)
    heights = layer_heights(network)
    assert set(heights) == {name for name, _ in network.named_parameters()}
    assert heights["atom_embedding.weight"] == heights["angle_embedding.weight"] == 0
    assert heights["atom_convs.0.out.weight"] == heights["bond_convs.0.out.weight"] == 1
    assert heights["atom_convs.3.out.weight"] == heights["norm.weight"] == 4
    assert {heights[name] for name in heights if name.startswith("adapters.2")} == {3}
    assert max(layer_heights(get_backbone("cgcnn").network()).values()) == get_backbone("cgcnn").info.n_layers


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_rates_fall_with_depth_and_only_matrices_decay(new_model, decay):
    model = new_model()
    config = FitConfig(learning_rate=1e-3, head_learning_rate=7e-3, layer_decay=decay)
    choose_trainable(model, "full")
    groups = parameter_groups(model, config)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    heights = layer_heights(model.network)
    for name, parameter in model.network.named_parameters():
        if parameter.requires_grad:
            assert rates[id(parameter)] == pytest.approx(1e-3 * decay ** (4 - heights[name]))
    assert {rates[id(p)] for p in model.head.parameters()} == {7e-3}
    for group in groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}
    probed = dataclasses.replace(config, head_epochs=5, joint_head_learning_rate=2e-4)
    assert 2e-4 in {group["lr"] for group in parameter_groups(model, probed)}
