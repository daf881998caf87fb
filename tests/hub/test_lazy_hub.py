"""A hub of 45 modules is opened, listed and searched without looking into one tensor file."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from module_factory import make_module, real_module, small_state

from moma_app.amc.select import usable_modules
from moma_app.backbones.registry import get_backbone
from moma_app.hub import Hub
from moma_app.hub.diff import diff
from moma_app.hub.storage import stored_as
from moma_app.work.modules import files_of, hash_of, modules_of

COUNT = 45


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("hub"))
    for number in range(COUNT):
        module = make_module(
            f"m{number:02}", small_state(number), fingerprint=get_backbone("chgnet").fingerprint
        )
        hub.add(stored_as(module, "float16") if number % 2 else module)
    hub.release()
    return hub


@pytest.fixture
def opened(monkeypatch):
    """Paths of the tensor files that were opened, by whatever means a module has."""
    from moma_app.hub import opening, reader

    paths = []
    real = opening.open_tensors

    def counted(path, framework):
        paths.append(path)
        return real(path, framework)

    for module in (opening, reader, sys.modules["moma_app.hub.module"]):
        monkeypatch.setattr(module, "open_tensors", counted)
    return paths


def use_all_but_the_tensors(hub):
    assert len(hub) == COUNT
    assert len(hub.cards()) == COUNT
    usable, damaged = hub.check(files=False)
    assert (len(usable), damaged) == (COUNT, [])
    assert hub.version == "1.0.0"
    assert "m07" in hub
    assert hub["m07"].card.storage == "float16"
    assert hub.find("m08@1.0.0").name == "m08"
    assert len(hub.select(kind="full")) == COUNT
    assert len(usable_modules(hub, None, "full", None)[0]) == COUNT
    assert diff(hub, hub).is_empty
    assert len(modules_of(hub)) == COUNT
    assert len(hash_of(hub, None)) == 64


def test_no_tensor_file_is_opened(hub, opened):
    use_all_but_the_tensors(hub)
    assert len(files_of(hub, None)) == 2 * COUNT
    assert opened == []


def test_the_files_may_even_be_gone(hub, tmp_path):
    """Nothing that was missed above can have read them."""
    for path in hub.folders[0].glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "hub.toml").write_bytes((hub.folders[0] / "hub.toml").read_bytes())
    use_all_but_the_tensors(Hub(tmp_path))


def test_a_module_opens_its_own_file_only_and_only_when_used(hub, opened):
    module = hub["m03"]
    assert opened == []
    assert torch.equal(module.tensor("backbone.bias"), small_state(3)["backbone.bias"])
    assert opened == [module.path]


def test_python_opens_no_file_but_cards_and_manifest(hub):
    """The interpreter itself tells of every file that it opens."""
    code = """
    import sys
    from pathlib import Path
    from moma_app.hub.hub import Hub
    import moma_app.hub.manifest
    seen = []
    sys.addaudithook(lambda event, args: seen.append(str(args[0])) if event == "open" else None)
    hub = Hub(Path(sys.argv[1]))
    assert len(hub.cards()) == 45 and hub.version == "1.0.0"
    files = [Path(name) for name in seen if name.startswith(sys.argv[1])]
    assert len(files) == 46, files
    assert {file.suffix for file in files} == {".json", ".toml"}, files
    assert "torch" not in sys.modules and "safetensors.torch" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(hub.folders[0])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_a_network_reads_its_file_once(tmp_path, opened, storage):
    module = stored_as(real_module("m", 1), storage).save(tmp_path)
    module.network(get_backbone("cgcnn"))
    assert opened == [module.path]
