"""Encoding with many modules at once gives what each gives alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from module_factory import real_module

from moma_app.backbones import gated_kernel
from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError
from moma_app.hub import encode as encoding
from moma_app.hub.encode import encode, encode_modules
from moma_app.tasks import get_task


@pytest.fixture(scope="module")
def structures():
    return get_task("elemental_bulk_modulus").load().structures.take(np.arange(0, 60, 5))


@pytest.mark.parametrize("layers", ["all", "last", "last-softplus"])
@pytest.mark.parametrize("kind", ["full", "adapter"])
@pytest.mark.parametrize("name", ["chgnet", "cgcnn"])
def test_many_are_as_one_by_one(structures, name, kind, layers):
    backbone = get_backbone(name)
    graphs = backbone.graphs(structures)
    rows = np.array([7, 0, 3, 11])
    modules = [real_module(f"m{n}", n, kind, name) for n in range(encoding.MODULES_AT_ONCE["cpu"] + 1)]
    found = list(encode_modules(modules, backbone, graphs, rows, layers=layers, pooling="sum"))
    assert [item.module.name for item in found] == [module.name for module in modules]
    for module, item in zip(modules, found, strict=True):
        alone = encode(module, backbone, graphs, rows, layers=layers, pooling="sum")
        assert item.embeddings.shape == alone.shape == (4, backbone.feature_width(layers))
        torch.testing.assert_close(item.embeddings, alone, rtol=1e-4, atol=1e-4 * float(alone.abs().max()))
        assert item.seconds > 0


def test_modules_that_differ_in_one_layer_share_what_lies_before(structures):
    """Tensors that all modules have in common are not stacked; the rest follows from there."""
    backbone = get_backbone("chgnet")
    graphs = backbone.graphs(structures)
    modules = []
    for number in range(3):
        module = real_module(f"m{number}", 0, backbone="chgnet")
        state = dict(module.memory)
        state["backbone.atom_convs.2.out.weight"] = state["backbone.atom_convs.2.out.weight"] * (1 + number)
        modules.append(real_module(f"m{number}", 0, backbone="chgnet"))
        modules[-1].memory.update(state)
    found = list(encode_modules(modules, backbone, graphs, layers="all"))
    for module, item in zip(modules, found, strict=True):
        alone = encode(module, backbone, graphs, layers="all")
        torch.testing.assert_close(item.embeddings, alone, rtol=1e-4, atol=1e-4 * float(alone.abs().max()))
    assert not torch.equal(found[0].embeddings, found[1].embeddings)


@pytest.mark.parametrize(("kind", "computed"), [("full", 3 * 9), ("adapter", 1 + 3 * 8)])
def test_adapters_share_the_layer_below_the_first_of_them(structures, kind, computed, monkeypatch):
    """CHGNet passes messages nine times; only before the first adapter are they the same for all modules."""
    backbone = get_backbone("chgnet")
    graphs = backbone.graphs(structures)
    modules = [real_module(f"m{n}", n, kind, "chgnet") for n in range(3)]
    calls = []
    once = gated_kernel._forward
    monkeypatch.setattr(gated_kernel, "_forward", lambda *arguments: calls.append(1) or once(*arguments))
    list(encode_modules(modules, backbone, graphs, layers="all"))
    assert len(calls) == computed


def test_results_come_group_by_group(structures, monkeypatch):
    backbone = get_backbone("cgcnn")
    monkeypatch.setitem(encoding.MODULES_AT_ONCE, "cpu", 2)
    loaded = []
    modules = [real_module(f"m{n}", n) for n in range(5)]
    for module in modules:
        object.__setattr__(
            module,
            "network",
            lambda backbone, m=module: loaded.append(m.name) or type(m).network(m, backbone),
        )
    stream = encode_modules(modules, backbone, backbone.graphs(structures), layers="all")
    next(stream)
    assert loaded == ["m0", "m1"]
    assert len(list(stream)) == 4


def test_a_module_that_cannot_be_loaded_is_left_out_or_raises(structures):
    backbone = get_backbone("cgcnn")
    graphs = backbone.graphs(structures)
    good, bad = real_module("good", 0), real_module("bad", 1)
    del bad.memory["backbone.embedding.weight"]
    with pytest.raises(DamagedFileError, match="bad"):
        list(encode_modules([good, bad], backbone, graphs, layers="all"))
    told = []
    found = list(
        encode_modules(
            [bad, good], backbone, graphs, layers="all", on_error=lambda m, e: told.append((m.name, e))
        )
    )
    assert [item.module.name for item in found] == ["good"]
    assert told[0][0] == "bad"
    assert isinstance(told[0][1], DamagedFileError)


def test_no_rows_give_no_embeddings(structures):
    backbone = get_backbone("cgcnn")
    graphs = backbone.graphs(structures)
    modules = [real_module(f"m{n}", n) for n in range(2)]
    found = list(encode_modules(modules, backbone, graphs, np.array([], dtype=np.int64), layers="all"))
    assert [len(item.embeddings) for item in found] == [0, 0]
