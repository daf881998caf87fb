from __future__ import annotations

import threading

import numpy as np
import pytest

from moma_app.backbones.cache import cached_graphs, structure_hash
from moma_app.backbones.registry import get_backbone
from moma_app.files import lock_for
from moma_app.progress import Note
from moma_app.structures import StructureSet


@pytest.fixture(params=["chgnet", "cgcnn"])
def backbone(request):
    return get_backbone(request.param)


@pytest.fixture(scope="module")
def structures(crystals):
    return StructureSet.from_any(crystals)


def assert_equal(ours, expected):
    for name, values in expected.arrays.items():
        np.testing.assert_array_equal(ours.arrays[name], values, err_msg=name)
    for scope, ptr in expected.ptr.items():
        np.testing.assert_array_equal(ours.ptr[scope], ptr, err_msg=scope)


def refuse_to_build(*_):
    raise AssertionError("graphs are built though they are in the cache")


def test_graphs_are_built_once_and_then_mapped(backbone, structures, tmp_path, monkeypatch):
    expected = backbone.graphs(structures)
    assert_equal(cached_graphs(backbone, structures, tmp_path), expected)
    monkeypatch.setattr(type(backbone), "graphs", refuse_to_build)
    again = cached_graphs(backbone, structures, tmp_path)
    assert_equal(again, expected)
    assert all(isinstance(values.base, np.memmap) for values in again.arrays.values())
    assert len(again.batch([2, 0])) == 2


def test_no_folder_no_file(backbone, structures, tmp_path):
    assert_equal(cached_graphs(backbone, structures, None), backbone.graphs(structures))
    assert not list(tmp_path.iterdir())


def test_every_number_of_a_structure_is_part_of_the_key(structures):
    def changed(**arrays):
        fields = ("numbers", "cells", "frac_coords", "ptr")
        return StructureSet(**{name: getattr(structures, name) for name in fields} | arrays)

    assert structure_hash(changed()) == structure_hash(structures)
    ptr = structures.ptr.copy()
    ptr[1] += 1
    others = [
        changed(numbers=structures.numbers + 1),
        changed(cells=structures.cells * (1 + 1e-15)),
        changed(frac_coords=structures.frac_coords + 1e-15),
        changed(ptr=ptr),
        structures[::-1],
    ]
    assert len({structure_hash(s) for s in [structures, *others]}) == 6


@pytest.mark.parametrize(
    "damage", [lambda b: b[:100], lambda b: b[: len(b) // 2], lambda _: b"", lambda _: b"{" * 99]
)
def test_a_damaged_file_is_built_anew(structures, tmp_path, damage):
    backbone = get_backbone("cgcnn")
    cached_graphs(backbone, structures, tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert_equal(cached_graphs(backbone, structures, tmp_path), backbone.graphs(structures))
    assert path.read_bytes() == content


def test_who_comes_second_waits_and_reads(structures, tmp_path, monkeypatch):
    backbone = get_backbone("cgcnn")
    expected = cached_graphs(backbone, structures, tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    finished = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(type(backbone), "graphs", refuse_to_build)
    events, results, said = [], [], threading.Event()

    def listen(event):
        events.append(event)
        said.set()

    with lock_for(path):
        second = threading.Thread(
            target=lambda: results.append(cached_graphs(backbone, structures, tmp_path, listen))
        )
        second.start()
        assert said.wait(10)
        path.write_bytes(finished)
    second.join(10)
    assert_equal(results[0], expected)
    assert [type(event) for event in events] == [Note]
    assert "waiting" in events[0].message
