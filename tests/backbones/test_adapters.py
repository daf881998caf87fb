from __future__ import annotations

import pytest
import torch

from moma_app.backbones.adapters import (
    INIT_STD,
    Adapter,
    adapter_state,
    attach_adapters,
    freeze_all_but_adapters,
    set_adapter_scale,
)
from moma_app.backbones.base import crystal_embedding
from moma_app.backbones.cgcnn import backbone


@pytest.fixture
def adapted():
    torch.manual_seed(0)
    network = backbone().pretrained()
    attach_adapters(network, 64, 4)
    return network


@pytest.fixture(scope="module")
def batch(crystals):
    chosen = backbone()
    return chosen.collate([chosen.graph(crystal) for crystal in crystals])


def test_an_adapter_is_a_bottleneck_with_berts_initialisation():
    torch.manual_seed(0)
    adapter = Adapter(256)
    assert {name: tuple(p.shape) for name, p in adapter.named_parameters()} == {
        "norm.weight": (256,),
        "norm.bias": (256,),
        "down.weight": (128, 256),
        "down.bias": (128,),
        "up.weight": (256, 128),
        "up.bias": (256,),
    }
    for layer in (adapter.down, adapter.up):
        assert layer.weight.std().item() == pytest.approx(INIT_STD, rel=0.02)
        assert layer.weight.mean().item() == pytest.approx(0, abs=1e-3)
        assert not layer.bias.any()


def test_an_adapter_computes_what_its_description_says():
    adapter, features = Adapter(6), torch.randn(5, 6)
    normal = (features - features.mean(1, keepdim=True)) / (
        features.var(1, correction=0, keepdim=True) + 1e-5
    ).sqrt()
    expected = features + torch.relu(normal @ adapter.down.weight.T) @ adapter.up.weight.T
    torch.testing.assert_close(adapter(features), expected)


def test_at_scale_zero_the_network_is_the_bare_backbone(adapted, batch):
    bare = backbone().pretrained().eval()
    adapted.eval()
    assert not torch.equal(adapted(batch)[-1], bare(batch)[-1])
    set_adapter_scale(adapted, 0.0)
    for ours, theirs in zip(adapted(batch), bare(batch), strict=True):
        assert torch.equal(ours, theirs)


def test_training_changes_the_adapters_and_nothing_else(adapted, batch):
    freeze_all_but_adapters(adapted)
    before = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in adapted.named_parameters() if name.startswith("adapters.")}
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=0.1)
    adapted.train()  # running statistics of a frozen backbone must not move either
    for _ in range(2):
        optimizer.zero_grad()
        crystal_embedding(adapted, batch, "all").square().sum().backward()
        optimizer.step()
    changed = {name for name, tensor in adapted.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == trained


def test_the_adapter_state_is_all_that_has_to_be_kept(adapted, batch):
    state = adapter_state(adapted)
    assert len(state) == 4 * 6
    assert adapted.state().keys() == backbone().pretrained_state().keys()
    other = backbone().pretrained()
    attach_adapters(other, 64, 4)
    other.load_state_dict({**backbone().pretrained_state(), **state}, strict=True)
    assert torch.equal(other.eval()(batch)[-1], adapted.eval()(batch)[-1])


def test_adapters_are_attached_once(adapted):
    with pytest.raises(ValueError, match="already has 4 adapters"):
        attach_adapters(adapted, 64, 4)


def test_freezing_a_network_without_adapters_is_an_error():
    with pytest.raises(ValueError, match="has no adapters"):
        freeze_all_but_adapters(backbone().network())


def test_adapters_take_the_networks_precision():
    network = backbone().network().double()
    attach_adapters(network, 64, 4)
    assert all(tensor.dtype == torch.float64 for tensor in adapter_state(network).values())
