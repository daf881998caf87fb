"""Modules in half precision: small on disk, computed in float32."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from module_factory import make_card, make_module, real_module, small_state, with_head

from moma_app.amc.merge import merge_modules, merge_to_file
from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError, InputError
from moma_app.hub import Hub
from moma_app.hub.card import parse_card
from moma_app.hub.encode import encode_modules
from moma_app.hub.reader import FileReader
from moma_app.hub.storage import size_on_disk, stored_as
from moma_app.tasks import get_task

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize("storage", HALVES)
class TestOnDisk:
    def test_matrices_are_halved_and_vectors_kept(self, tmp_path, storage):
        module = with_head(real_module("m", 1, backbone="chgnet"))
        saved = stored_as(module, storage).save(tmp_path)
        read = Hub(tmp_path)["m"]
        assert read.card.storage == saved.card.storage == storage
        read.verify()
        reader = FileReader(read.path)
        for name, tensor in module.memory.items():
            assert reader.spec(name).dtype == (HALVES[storage] if tensor.dim() > 1 else torch.float32)
            assert torch.equal(read.tensor(name), tensor.to(reader.spec(name).dtype))

    def test_what_is_computed_with_is_float32_and_exactly_what_is_stored(self, tmp_path, storage):
        module = stored_as(with_head(real_module("m", 1, backbone="chgnet")), storage).save(tmp_path)
        state = module.network(get_backbone("chgnet")).state_dict()
        parameters, head = module.parameters(), module.head()
        assert {tensor.dtype for tensor in (*state.values(), *parameters.values(), *head.values())} == {
            torch.float32
        }
        for name, tensor in module.iter_tensors():
            if name.startswith("head."):
                assert torch.equal(head[name.removeprefix("head.")], tensor.float())
            else:
                assert torch.equal(parameters[name], tensor.float())
                assert torch.equal(state[name.removeprefix("backbone.")], tensor.float())

    def test_a_full_module_of_chgnet_is_well_under_a_megabyte(self, tmp_path, storage):
        module = with_head(real_module("m", 1, backbone="chgnet"))
        half, whole = stored_as(module, storage).save(tmp_path / "half"), module.save(tmp_path / "whole")
        assert half.card.size < 830_000 < 1_600_000 < whole.card.size
        assert size_on_disk(half) < half.card.size < size_on_disk(half) + 12_000

    def test_the_same_tensors_make_the_same_file(self, tmp_path, storage):
        first = stored_as(make_module(), storage).save(tmp_path / "a")
        again = stored_as(make_module().save(tmp_path / "float32"), storage).save(tmp_path / "b")
        assert first.card.sha256 == again.card.sha256 != make_module().save(tmp_path / "c").card.sha256

    def test_in_memory_it_is_not_the_file_that_it_came_from(self, tmp_path, storage):
        module = make_module().save(tmp_path)
        half = stored_as(module, storage)
        assert (half.path, half.card.file, half.card.sha256, half.card.size) == (None, "", "", 0)
        assert stored_as(half, storage) is half

    def test_it_is_rounded_once_only(self, storage):
        half = stored_as(make_module(), storage)
        (other,) = HALVES.keys() - {storage}
        with pytest.raises(InputError, match=f"is stored in {storage}: rounding it again to {other} would"):
            stored_as(half, other)
        whole = stored_as(half, "float32")
        assert {tensor.dtype for tensor in whole.memory.values()} == {torch.float32}
        for name, tensor in stored_as(whole, storage).memory.items():
            assert torch.equal(tensor, half.memory[name])


@pytest.mark.parametrize("storage", ["float32", *HALVES])
@pytest.mark.parametrize("backbone", ["chgnet"])
def test_an_adapter_takes_less_than_a_quarter_of_a_full_module(tmp_path, backbone, storage):
    sizes = {
        kind: stored_as(with_head(real_module(kind, 1, kind, backbone)), storage).save(tmp_path).card.size
        for kind in ("full", "adapter")
    }
    assert sizes["adapter"] < sizes["full"] / 4


def test_a_trained_adapter_too(tmp_path):
    """Adapters are made in float32 and trained in float32; only what is written is rounded."""
    from moma_app.tasks import random_split
    from moma_app.training.recipe import load_recipe
    from moma_app.training.train_module import train_module

    task = get_task("elemental_bulk_modulus")
    data = task.load().take(np.argsort(task.load().structures.n_atoms, kind="stable")[:20])
    recipe = load_recipe("short-cpu").with_fit(epochs=1)
    sizes = {}
    for kind in ("full", "adapter"):
        made = train_module(
            data, random_split(len(data), 0), recipe, kind=kind, checkpoints=tmp_path / "fits", device="cpu"
        )
        assert {tensor.dtype for tensor in made.memory.values()} == {torch.float32}
        assert made.card.storage == "float32"
        sizes[kind] = stored_as(made, "float16").save(tmp_path / "hub").card.size
    assert sizes["adapter"] < sizes["full"] / 4
    assert sizes["full"] < 830_000


finite = st.floats(-6e4, 6e4, width=32).filter(lambda x: x == 0 or abs(x) > 1e-4)


@settings(deadline=None, max_examples=100)
@given(st.lists(finite, min_size=1, max_size=20), st.sampled_from([("float16", 2**-11), ("bfloat16", 2**-8)]))
def test_a_matrix_loses_no_more_than_the_last_digit_and_a_vector_nothing(values, how):
    storage, bound = how
    vector = torch.tensor(values)
    half = stored_as(
        make_module(state={"backbone.matrix": vector.reshape(1, -1), "backbone.vector": vector}), storage
    ).parameters()
    assert torch.equal(half["backbone.vector"], vector)
    error = (half["backbone.matrix"][0] - vector).abs()
    assert (error <= bound * vector.abs()).all()


def test_a_number_too_large_for_the_type_is_named_and_infinities_stay():
    state = {
        **small_state(),
        "backbone.weight": torch.tensor([[1.0, -1e5]]),
        "head.scale": torch.tensor([1e9]),
    }
    with pytest.raises(
        InputError,
        match=r"'mp_kvrh': tensor 'backbone.weight' has numbers up to 1e\+05, too large for float16",
    ):
        stored_as(make_module(state=state), "float16")
    assert stored_as(make_module(state=state), "bfloat16").tensor("head.scale") == 1e9
    state["backbone.weight"] = torch.tensor([[1.0, -torch.inf]])
    assert stored_as(make_module(state=state), "float16").tensor("backbone.weight")[0, 1] == -torch.inf


def test_integers_are_left_alone():
    state = {**small_state(), "backbone.table": torch.arange(6).reshape(2, 3)}
    assert torch.equal(
        stored_as(make_module(state=state), "float16").tensor("backbone.table"), state["backbone.table"]
    )


class TestCards:
    def test_a_card_without_the_field_is_of_a_module_in_float32(self):
        old = json.loads(make_card().model_dump_json())
        del old["storage"]
        assert parse_card(json.dumps(old), "x.json") == make_card()
        assert make_card().storage == "float32"

    def test_another_type_is_refused(self):
        data = {**json.loads(make_card().model_dump_json()), "storage": "int8"}
        with pytest.raises(DamagedFileError, match=r"^The card x\.json cannot be read: storage: "):
            parse_card(json.dumps(data), "x.json")


class TestTogether:
    """Half and whole modules take part in the same work."""

    @pytest.mark.parametrize("name", ["chgnet", "cgcnn"])
    def test_encoding_gives_what_the_rounded_numbers_give_in_float32(self, tmp_path, name):
        backbone = get_backbone(name)
        graphs = backbone.graphs(
            get_task("elemental_bulk_modulus").load().structures.take(np.arange(0, 60, 9))
        )
        whole = [real_module(f"m{n}", n, backbone=name) for n in range(2)]
        stored = [whole[0], *(stored_as(whole[1], storage).save(tmp_path / storage) for storage in HALVES)]
        rounded = [whole[0], *(stored_as(module, "float32") for module in stored[1:])]
        found = [each.embeddings for each in encode_modules(stored, backbone, graphs, layers="all")]
        expected = [each.embeddings for each in encode_modules(rounded, backbone, graphs, layers="all")]
        for ours, theirs in zip(found, expected, strict=True):
            assert torch.equal(ours, theirs)
        assert not torch.equal(found[1], found[2])

    def test_an_average_is_that_of_the_stored_numbers_in_float32(self, tmp_path):
        modules = [
            make_module("a", small_state(0)),
            stored_as(make_module("b", small_state(1)), "float16").save(tmp_path),
            stored_as(make_module("c", small_state(2)), "bfloat16").save(tmp_path),
        ]
        weights = [0.2, 0.3, 0.5]
        merged = merge_modules(modules, weights)
        for name, tensor in merged.items():
            expected = sum(w * m.tensor(name).double() for w, m in zip(weights, modules, strict=True))
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor.double(), expected, rtol=1e-6, atol=1e-7)
        merge_to_file(modules, weights, tmp_path / "merged.safetensors")
        file = FileReader(tmp_path / "merged.safetensors")
        assert all(torch.equal(file.tensor(name), tensor) for name, tensor in merged.items())

    def test_numbers_on_which_both_agree_are_copied(self):
        """A frozen tensor whose values survive rounding is the same in both, though stored differently."""
        state = {"backbone.frozen": torch.tensor([[0.5, 1.25, -3.0, 0.3]]).half().float()}
        modules = [make_module("a", state), stored_as(make_module("b", state), "float16")]
        merged = merge_modules(modules, [0.3, 0.7])
        assert torch.equal(merged["backbone.frozen"], state["backbone.frozen"])
