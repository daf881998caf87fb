"""Reading the tensors of a module one at a time."""

from __future__ import annotations

import pytest
import torch
from module_factory import small_state
from safetensors.torch import save_file

from moma_app.errors import DamagedFileError
from moma_app.hub import reader
from moma_app.hub.reader import DTYPES, FileReader, MemoryReader, TensorSpec


@pytest.fixture
def tensors():
    return {**small_state(), **{name: torch.ones(2, 3).to(dtype) for name, dtype in DTYPES.items()}}


@pytest.fixture
def path(tmp_path, tensors):
    save_file(tensors, tmp_path / "module.safetensors")
    return tmp_path / "module.safetensors"


@pytest.mark.parametrize("mapped_bytes", [reader.MAPPED_BYTES, 0])
def test_a_file_reads_as_memory_does_however_often_it_is_mapped(path, tensors, monkeypatch, mapped_bytes):
    monkeypatch.setattr(reader, "MAPPED_BYTES", mapped_bytes)
    here, there = MemoryReader(tensors), FileReader(path)
    assert here.names() == there.names() == sorted(tensors)
    for name, tensor in tensors.items():
        assert here.spec(name) == there.spec(name) == TensorSpec(tensor.dtype, tuple(tensor.shape))
        assert torch.equal(here.tensor(name), tensor)
        assert torch.equal(there.tensor(name), tensor)


def test_a_tensor_outlives_its_mapping(path, tensors, monkeypatch):
    monkeypatch.setattr(reader, "MAPPED_BYTES", 0)
    opened = FileReader(path)
    kept = {name: opened.tensor(name) for name in opened.names()}
    del opened
    for name, tensor in tensors.items():
        assert torch.equal(kept[name], tensor)


def test_a_type_that_modules_do_not_have_is_refused_by_name(tmp_path):
    save_file({"backbone.odd": torch.ones(2, dtype=torch.complex64)}, tmp_path / "odd.safetensors")
    with pytest.raises(DamagedFileError, match=r"odd\.safetensors: tensor 'backbone\.odd' is of type C64"):
        FileReader(tmp_path / "odd.safetensors").spec("backbone.odd")
