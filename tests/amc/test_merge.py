"""Eq. 4: averages of parameters, recomputed independently."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from module_factory import make_module, small_state
from safetensors.torch import load_file

from moma_app.amc.merge import iter_merged, merge_modules, merge_to_file
from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.hub.reader import FileReader

NAMES = ("mp_kvrh", "mp_gvrh", "mp_bandgap")
WEIGHTS = (0.2, 0.5, 0.3)
KINDS = ("full", "adapter")


def modules_of(kind="full", n=3):
    return [make_module(NAMES[i], small_state(i, kind), kind=kind) for i in range(n)]


@pytest.fixture(params=["memory", "files"])
def place(request, tmp_path):
    """Modules as they are, or as files of a hub."""
    return (lambda module: module) if request.param == "memory" else lambda module: module.save(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_average_recomputed_in_float64(kind, place):
    modules = modules_of(kind)
    merged = merge_modules([place(module) for module in modules], WEIGHTS)
    assert merged.keys() == {name for name in modules[0].memory if not name.startswith("head.")}
    for name, tensor in merged.items():
        expected = sum(
            w * module.memory[name].numpy().astype(np.float64)
            for w, module in zip(WEIGHTS, modules, strict=True)
        )
        assert tensor.dtype == torch.float32
        assert tensor.shape == modules[0].memory[name].shape
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1e-7)
        for module in modules:
            assert not torch.equal(tensor, module.memory[name])


def bits(tensor):
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("chosen", range(3))
def test_weight_one_returns_the_module_bit_for_bit(chosen, dtype, place):
    modules = []
    for i, name in enumerate(NAMES):
        state = {key: tensor.to(dtype) for key, tensor in small_state(i).items()}
        state["backbone.odd"] = torch.tensor([-0.0, 1e-40, float("inf"), 1 / 3], dtype=dtype)
        state["backbone.steps"] = torch.tensor(i)
        modules.append(make_module(name, state))
    merged = merge_modules([place(module) for module in modules], np.eye(3)[chosen])
    for name, tensor in merged.items():
        assert tensor.dtype == modules[chosen].memory[name].dtype
        assert bits(tensor) == bits(modules[chosen].memory[name])


def test_the_result_shares_no_memory_with_its_parts():
    modules = modules_of()
    merged = merge_modules(modules, [1, 0, 0])
    merged["backbone.bias"].add_(1)
    assert torch.equal(modules[0].memory["backbone.bias"], small_state(0)["backbone.bias"])


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(3)), st.integers(0, 1000))
def test_the_order_of_modules_does_not_matter(order, seed):
    weights = np.random.default_rng(seed).dirichlet(np.ones(3))
    modules = modules_of()
    here = merge_modules(modules, weights)
    there = merge_modules([modules[i] for i in order], weights[list(order)])
    for name, tensor in here.items():
        torch.testing.assert_close(there[name], tensor, rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8))
def test_tensors_on_which_all_agree_are_copied_bit_for_bit(weights):
    modules = [
        make_module(f"m{i}", {**small_state(i), "backbone.frozen": torch.tensor([0.1, 1e-30, 7.3])})
        for i in range(len(weights))
    ]
    merged = merge_modules(modules, np.array(weights) / sum(weights))
    assert bits(merged["backbone.frozen"]) == bits(torch.tensor([0.1, 1e-30, 7.3]))


def test_integers_that_agree_are_copied_and_others_refused(place):
    def modules(second):
        states = [
            {**small_state(i), "backbone.count": torch.tensor([3, n])} for i, n in enumerate((4, second))
        ]
        return [place(make_module(name, state)) for name, state in zip(NAMES, states, strict=False)]

    merged = merge_modules(modules(4), [0.5, 0.5])
    assert merged["backbone.count"].tolist() == [3, 4]
    assert merged["backbone.count"].dtype == torch.int64
    with pytest.raises(
        IncompatibleError, match=r"Integer tensor 'backbone.count' differs between 'mp_kvrh' and 'mp_gvrh'"
    ):
        merge_modules(modules(5), [0.5, 0.5])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "cgcnn"}, r"their backbone differ \(chgnet, cgcnn\)"),
        ({"fingerprint": "f" * 16}, r"their backbone weights differ \(0123456789abcdef, f{16}\)"),
        ({"kind": "adapter"}, r"their kind differ \(full, adapter\)"),
        ({"layers": "last"}, r"their feature layers differ \(all, last\)"),
    ],
)
def test_modules_of_different_make_are_refused_by_name(changes, words):
    other = make_module("jarvis_gvrh", small_state(1, changes.get("kind", "full")), **changes)
    with pytest.raises(IncompatibleError, match=rf"'mp_kvrh' and 'jarvis_gvrh' cannot be merged: {words}"):
        merge_modules([*modules_of(n=2), other], [0.3, 0.3, 0.4])


def test_a_tensor_that_only_one_has_is_named(place):
    modules = modules_of(n=2)
    extra = {**modules[1].memory, "backbone.gate": torch.ones(2)}
    for pair in ([modules[0], make_module("b", extra)], [make_module("b", extra), modules[0]]):
        with pytest.raises(IncompatibleError, match=r"'mp_kvrh'.*only one of them has backbone\.gate"):
            merge_modules([place(module) for module in pair], [0.5, 0.5])


def test_a_shape_that_differs_is_named(place):
    modules = modules_of(n=2)
    modules[1] = make_module("b", {**modules[1].memory, "backbone.bias": torch.ones(4)})
    with pytest.raises(
        IncompatibleError, match=r"'backbone.bias' has shape \(3,\) in 'mp_kvrh' and \(4,\) in 'b'"
    ):
        merge_modules([place(module) for module in modules], [0.5, 0.5])


def test_heads_may_differ_and_are_left_out():
    state = {**small_state(1), "head.weight": torch.ones(7, 7), "head.bias": torch.ones(1)}
    merged = merge_modules([make_module("a"), make_module("b", state)], [0.5, 0.5])
    assert not [name for name in merged if name.startswith("head.")]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([0.5, 0.4, 0.0], "sum to 0.9"),
        ([0.5, 0.6, 0.0], "sum to 1.1"),
        ([1.2, -0.2, 0.0], "at least 0 and sum to 1"),
        ([np.nan, 0.5, 0.5], "at least 0 and sum to 1"),
        ([np.inf, 0.0, 0.0], "at least 0 and sum to 1"),
        ([0.0, 0.0, 0.0], "sum to 0"),
        ([0.5, 0.5], r"3 modules but weights of shape \(2,\)"),
        ([[0.5, 0.5, 0.0]], r"3 modules but weights of shape \(1, 3\)"),
    ],
)
def test_weights_off_the_simplex_are_refused(weights, words):
    with pytest.raises(InputError, match=words):
        merge_modules(modules_of(), weights)


def test_no_modules_are_refused():
    with pytest.raises(InputError, match="sum to 0"):
        merge_modules([], [])


def test_modules_are_read_one_tensor_at_a_time(tmp_path, monkeypatch):
    modules = [module.save(tmp_path) for module in modules_of()]
    opened, read = [], []
    opening, tensor = FileReader.__init__, FileReader.tensor
    monkeypatch.setattr(FileReader, "__init__", lambda self, path: opened.append(path) or opening(self, path))
    monkeypatch.setattr(
        FileReader, "tensor", lambda self, name: read.append((name, self._path)) or tensor(self, name)
    )
    merged = iter_merged(modules, [0.5, 0.0, 0.5])
    assert opened == read == []
    name, _ = next(merged)
    assert read == [(name, modules[0].path), (name, modules[2].path)], "a module without weight is not read"
    list(merged)
    assert len(read) == 6
    assert opened == [modules[0].path, modules[2].path]


def mixed_state(seed):
    """Tensors of several types and shapes, some of which all seeds share."""
    return {
        **small_state(seed),
        "backbone.half": torch.full((3,), seed / 3, dtype=torch.bfloat16),
        "backbone.frozen": torch.tensor([0.1, 1e-30, 7.3], dtype=torch.float16),
        "backbone.double": torch.full((2, 0, 3), 1.0, dtype=torch.float64),
        "backbone.count": torch.tensor(7),
        "backbone.mask": torch.tensor([True, False, True]),
    }


@pytest.mark.parametrize("weights", [WEIGHTS, (0.0, 1.0, 0.0)])
def test_the_file_holds_what_merging_returns(tmp_path, place, weights):
    modules = [place(make_module(name, mixed_state(i))) for i, name in enumerate(NAMES)]
    merge_to_file(modules, weights, tmp_path / "new" / "merged.safetensors")
    stored = load_file(tmp_path / "new" / "merged.safetensors")
    merged = merge_modules(modules, weights)
    assert stored.keys() == merged.keys()
    for name, tensor in merged.items():
        averaged = weights == WEIGHTS and tensor.is_floating_point()
        expected = tensor.float() if averaged else tensor
        assert stored[name].dtype == expected.dtype
        assert bits(stored[name]) == bits(expected)


def test_a_merge_that_fails_leaves_the_old_file_alone(tmp_path):
    modules = modules_of(n=2)
    merge_to_file(modules, [0.5, 0.5], tmp_path / "merged.safetensors")
    before = (tmp_path / "merged.safetensors").read_bytes()
    modules[1] = make_module("b", {**modules[1].memory, "backbone.weight": torch.ones(4)})
    with pytest.raises(IncompatibleError, match=r"'backbone.weight' has shape"):
        merge_to_file(modules, [0.5, 0.5], tmp_path / "merged.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["merged.safetensors"]
    assert (tmp_path / "merged.safetensors").read_bytes() == before


def test_types_that_differ_are_averaged_in_float32(place):
    states = [{"backbone.weight": torch.ones(3, dtype=dtype)} for dtype in (torch.float64, torch.float16)]
    merged = merge_modules(
        [place(make_module(name, state)) for name, state in zip(NAMES, states, strict=False)], [0.5, 0.5]
    )
    assert merged["backbone.weight"].dtype == torch.float32
    assert merged["backbone.weight"].tolist() == [1, 1, 1]


def test_a_file_that_is_gone_is_named(tmp_path):
    modules = [module.save(tmp_path) for module in modules_of()]
    modules[1].path.unlink()
    with pytest.raises(DamagedFileError, match=r"mp_gvrh-[0-9a-f]{12}\.safetensors is missing"):
        merge_modules(modules, WEIGHTS)
