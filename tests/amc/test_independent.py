"""Modules that do not share an initialisation: composed, never averaged, mixed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from module_factory import independent_module, make_card, real_module
from pydantic import ValidationError

from moma_app.amc.compose import compose
from moma_app.amc.merge import merge_modules, merge_to_file
from moma_app.amc.result import AMCResult
from moma_app.backbones.base import crystal_embedding
from moma_app.backbones.registry import get_backbone
from moma_app.errors import IncompatibleError
from moma_app.hub import Hub
from moma_app.hub.mixing import mixture_from, tensors_of_experts
from moma_app.hub.sharing import NoSharedStartError, check_shared_start
from moma_app.tasks import get_task

SENTENCE = (
    r"^The modules a, b and c do not share an initialisation, so the average of their parameters means nothing: use a "
    r"mixture of experts instead.*moma compose TASK --instant --mix\)"
)


@pytest.fixture(scope="module")
def modules():
    return [independent_module(name, seed) for seed, name in enumerate("abc")]


@pytest.fixture
def hub(tmp_path, modules):
    hub = Hub(tmp_path / "hub")
    for module in modules:
        hub.add(module)
    return hub


@pytest.fixture(scope="module")
def task():
    return get_task("elemental_bulk_modulus")


class TestMerging:
    def test_it_is_refused_and_says_what_works(self, modules, tmp_path):
        thirds = [1 / 3] * 3
        with pytest.raises(NoSharedStartError, match=SENTENCE) as caught:
            merge_modules(modules, thirds)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, IncompatibleError)
        with pytest.raises(NoSharedStartError):
            merge_to_file(modules, thirds, tmp_path / "merged.safetensors")
        assert list(tmp_path.iterdir()) == []

    def test_one_that_shares_and_one_that_does_not(self, modules):
        with pytest.raises(NoSharedStartError, match="The modules common and a do not share"):
            merge_modules([real_module("common", 0, layers="last-softplus"), modules[0]], [0.5, 0.5])

    def test_a_module_alone_is_its_own_average(self, modules):
        merged = merge_modules(modules, [0, 1, 0])
        assert all(
            torch.equal(merged[name], tensor) for name, tensor in modules[1].memory.items() if name in merged
        )

    def test_many_are_not_all_named(self):
        cards = [make_card(f"m{number}", fingerprint="") for number in range(18)]
        with pytest.raises(NoSharedStartError, match="The modules m0, m1, m2 and 15 more do not share"):
            check_shared_start(cards)
        check_shared_start(cards[:1])
        check_shared_start([make_card("a"), make_card("b")])


def test_an_adapter_always_needs_the_weights_it_was_trained_in():
    with pytest.raises(ValidationError, match="an adapter works only with the weights it was trained in"):
        make_card(kind="adapter", fingerprint="")


def test_an_independent_module_runs_whatever_the_weights_installed_here(modules):
    network = modules[0].network(get_backbone("cgcnn"))
    assert all(torch.equal(t, modules[0].memory[f"backbone.{n}"]) for n, t in network.state().items())
    with pytest.raises(IncompatibleError, match=r"made for cgcnn \(weights of its own\), but this is chgnet"):
        modules[0].network(get_backbone("chgnet"))


class TestComposing:
    def test_weights_and_errors_come_and_only_the_average_does_not(self, hub, task):
        composition = compose(task, hub)
        result = composition.result
        assert list(result.weights) == ["a", "b", "c"]
        assert sum(result.weights.values()) == pytest.approx(1)
        assert (result.fingerprint, result.layers, result.skipped) == ("", "last-softplus", {})
        assert AMCResult.from_json(result.to_json()) == result
        experts = composition.experts()
        assert {module.name: weight for module, weight in experts.items()} == {
            name: weight for name, weight in result.weights.items() if weight
        }
        assert result.mergeable == (len(experts) == 1)
        if not result.mergeable:
            with pytest.raises(NoSharedStartError):
                composition.network()

    def test_equal_weights_are_never_mergeable(self, hub, task):
        composition = compose(task, hub, weighting="all-average")
        assert not composition.result.mergeable
        with pytest.raises(NoSharedStartError, match=SENTENCE):
            _ = composition.tensors

    def test_the_best_alone_is_itself(self, hub, task):
        composition = compose(task, hub, weighting="best-single")
        assert composition.result.mergeable
        (best,) = composition.experts()
        assert all(torch.equal(composition.tensors[n], t) for n, t in best.parameters().items())

    def test_modules_that_share_come_first(self, hub, task):
        hub.add(real_module("common", 5, layers="last-softplus"))
        result = compose(task, hub).result
        assert list(result.weights) == ["common"]
        assert list(result.skipped) == ["a", "b", "c"]
        assert "initialisation of its own, other modules from common weights" in result.skipped["a"]
        named = compose(task, hub, modules=["a", "b"]).result
        assert list(named.weights) == ["a", "b"]


def test_experts_of_a_mixture_keep_their_parameters(modules, task):
    backbone = get_backbone("cgcnn")
    tensors = tensors_of_experts(modules)
    assert len(tensors) == sum(len(module.parameters()) for module in modules)
    mixture = mixture_from(backbone, "full", tensors).eval()
    batch = backbone.graphs(task.load().structures.take(np.arange(9))).batch(range(9))
    with torch.no_grad():
        together = crystal_embedding(mixture, batch, "last-softplus")
        for number, module in enumerate(modules):
            alone = crystal_embedding(module.network(backbone).eval(), batch, "last-softplus")
            torch.testing.assert_close(together[:, 64 * number : 64 * (number + 1)], alone)


def test_more_than_ten_experts_keep_their_order():
    modules = [independent_module(f"m{number:02}", number) for number in range(12)]
    mixture = mixture_from(get_backbone("cgcnn"), "full", tensors_of_experts(modules))
    for module, expert in zip(modules, mixture.experts, strict=True):
        assert torch.equal(expert.embedding.weight, module.memory["backbone.embedding.weight"])
