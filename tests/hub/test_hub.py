"""Hubs: mappings of modules, safe with several processes at work, honest about damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from module_factory import make_card, make_module, small_state

from moma_app.errors import DamagedFileError, InputError, MomaError, UnknownNameError
from moma_app.hub import Hub
from moma_app.hub.hub import read_module_file
from moma_app.hub.places import BUILTIN


@pytest.fixture
def hub(tmp_path):
    hub = Hub(tmp_path / "hub")
    for seed, name in enumerate(("mp_kvrh", "mp_gvrh", "mp_bandgap")):
        hub.add(make_module(name, small_state(seed)))
    return hub


class TestMapping:
    def test_names_are_sorted(self, hub):
        assert list(hub) == ["mp_bandgap", "mp_gvrh", "mp_kvrh"]
        assert len(hub) == 3
        assert hub.keys() == {"mp_bandgap", "mp_gvrh", "mp_kvrh"}
        assert [module.name for module in hub.values()] == list(hub)
        assert [card.name for card in hub.cards()] == list(hub)
        assert hub._ipython_key_completions_() == list(hub)

    def test_a_name_that_is_not_there(self, hub):
        assert "mp_kvrh" in hub
        assert "mp_eform" not in hub
        assert hub.get("mp_eform") is None
        assert hub.get("mp_kvrh").name == "mp_kvrh"
        with pytest.raises(
            UnknownNameError, match=r"^There is no module called 'mp_kvr': did you mean mp_kvrh"
        ):
            hub["mp_kvr"]

    @pytest.mark.parametrize(
        "name", ["", "..", "../hub/mp_kvrh", "/etc/passwd", "hub/mp_kvrh", "mp_kvrh.json", "*"]
    )
    def test_names_are_no_paths(self, hub, name):
        assert name not in hub
        with pytest.raises(UnknownNameError):
            hub[name]
        with pytest.raises(UnknownNameError):
            hub.remove(name)
        assert len(hub) == 3

    def test_reading_a_card_reads_no_tensors(self, hub):
        for path in hub.folders[0].glob("*.safetensors"):
            path.unlink()
        assert len(hub.cards()) == 3

    def test_an_empty_or_absent_folder_is_an_empty_hub(self, tmp_path):
        assert list(Hub(tmp_path)) == []
        assert list(Hub(tmp_path / "nowhere")) == []
        assert Hub(tmp_path / "nowhere").check() == ([], [])
        with pytest.raises(UnknownNameError, match="none are known here"):
            Hub(tmp_path)["x"]

    def test_a_hub_needs_a_folder(self):
        with pytest.raises(InputError, match="needs a folder"):
            Hub()

    def test_select(self, hub):
        hub.add(make_module("adapted", small_state(kind="adapter"), kind="adapter"))
        assert [m.name for m in hub.select()] == ["adapted", "mp_bandgap", "mp_gvrh", "mp_kvrh"]
        assert [m.name for m in hub.select(kind="adapter")] == ["adapted"]
        assert [m.name for m in hub.select(["mp_kvrh", "adapted"], "full")] == ["mp_kvrh"]
        with pytest.raises(UnknownNameError):
            hub.select(["nothing"])
        (hub.folders[0] / "mp_kvrh.json").write_text("{")
        assert [m.name for m in hub.select(kind="full")] == ["mp_bandgap", "mp_gvrh"]
        with pytest.raises(DamagedFileError):
            hub.select(["mp_kvrh"])


class TestOpening:
    def test_by_default_the_users_and_the_built_in_one(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MOMA_HUB", str(tmp_path / "mine"))
        assert Hub.open().folders == (tmp_path / "mine", BUILTIN)
        assert Hub.open("builtin").folders == (BUILTIN,)
        assert Hub.open(tmp_path).folders == (tmp_path,)

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match=r"no hub at .*nowhere: that folder does not exist"):
            Hub.open(tmp_path / "nowhere")

    def test_the_first_folder_hides_the_others(self, hub, tmp_path):
        top = Hub(tmp_path / "top", hub.folders[0])
        assert list(top) == list(hub)
        top.add(make_module("mp_kvrh", small_state(9)))
        assert len(top) == 3
        assert torch.equal(top["mp_kvrh"].tensor("backbone.bias"), small_state(9)["backbone.bias"])
        assert torch.equal(hub["mp_kvrh"].tensor("backbone.bias"), small_state(0)["backbone.bias"])
        top.remove("mp_kvrh")
        assert torch.equal(top["mp_kvrh"].tensor("backbone.bias"), small_state(0)["backbone.bias"])
        with pytest.raises(InputError, match=r"belongs to .*, which is read only here"):
            top.remove("mp_kvrh")
        assert "mp_kvrh" in hub


class TestAddingAndRemoving:
    def test_a_name_that_is_taken(self, hub):
        with pytest.raises(InputError, match="already has a module 'mp_kvrh': give another name, or allow"):
            hub.add(make_module("mp_kvrh", small_state(5)))
        assert torch.equal(hub["mp_kvrh"].tensor("backbone.bias"), small_state(0)["backbone.bias"])
        hub.add(make_module("mp_kvrh", small_state(5)), overwrite=True)
        assert torch.equal(hub["mp_kvrh"].tensor("backbone.bias"), small_state(5)["backbone.bias"])
        assert hub.check()[1] == []

    def test_removing_leaves_nothing_of_it(self, hub):
        hub.remove("mp_kvrh")
        assert list(hub) == ["mp_bandgap", "mp_gvrh"]
        assert not list(hub.folders[0].glob("mp_kvrh*"))
        assert hub.check()[1] == []
        hub.add(make_module("mp_kvrh"))
        assert hub.check()[1] == []

    def test_a_file_in_the_place_of_the_folder(self, tmp_path):
        path = tmp_path / "hub"
        path.write_text("I am a file")
        with pytest.raises(InputError, match=r"^The hub .*hub cannot be written to \("):
            Hub(path).add(make_module())
        with pytest.raises(InputError, match="cannot be written to"):
            Hub(path / "below").add(make_module())
        assert path.read_text() == "I am a file"

    @pytest.mark.skipif(
        not Path("/proc/self").is_dir(), reason="needs a file system that nobody can write to"
    )
    def test_a_file_system_that_cannot_be_written_to(self):
        """Even root cannot make files in /proc."""
        with pytest.raises(InputError, match="cannot be written to"):
            Hub(Path("/proc/self/hub")).add(make_module())

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder, whatever its mode says")
    def test_a_folder_without_permission(self, hub):
        folder = hub.folders[0]
        folder.chmod(0o555)
        try:
            for change in (lambda: hub.add(make_module("new")), lambda: hub.remove("mp_kvrh")):
                with pytest.raises(InputError, match="cannot be written to"):
                    change()
        finally:
            folder.chmod(0o755)
        assert len(hub) == 3

    def test_a_full_disk(self, hub, monkeypatch):
        from safetensors import SafetensorError

        for error in (OSError(28, "No space left on device"), SafetensorError("IO error: No space left")):

            def fail(*_args, _error=error, **_kwargs):
                raise _error

            with monkeypatch.context() as patch:
                patch.setattr("safetensors.torch.save_file", fail)
                with pytest.raises(InputError, match=r"cannot be written to \(.*No space left"):
                    hub.add(make_module("new"))
        assert len(hub) == 3
        assert not list(hub.folders[0].glob(".*.part"))


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def on_tensors(change):
    return lambda module: change(module.path)


def on_card(change):
    return lambda module: change(module.path.with_name(f"{module.name}.json"))


class TestDamage:
    """Each kind of damage is found and named, and the other modules stay usable."""

    @pytest.mark.parametrize(
        ("damage", "words", "seen_without_files"),
        [
            (on_tensors(flip), "SHA-256", False),
            (on_tensors(lambda path: path.write_bytes(path.read_bytes()[:50])), "has 50 bytes", False),
            (on_tensors(Path.unlink), "is missing", False),
            (on_card(lambda path: path.write_text("{")), "cannot be read", True),
            (on_card(lambda path: path.write_text("")), "cannot be read", True),
            (on_card(lambda path: path.write_bytes(b"\xff\xfe")), "cannot be read", True),
            (on_card(lambda path: edit(path, colour="red")), "colour: Extra inputs", True),
            (on_card(lambda path: edit(path, size="big")), "size: ", True),
            (on_card(lambda path: edit(path, file="../other.safetensors")), "file: ", True),
            (on_card(lambda path: edit(path, file="/etc/passwd")), "file: ", True),
            (on_card(lambda path: edit(path, name="../mp_gvrh")), "name: ", True),
            (on_card(lambda path: edit(path, name="mp_other")), "its file was renamed", True),
            (on_card(lambda path: edit(path, file="")), "is missing", False),
            (on_card(lambda path: edit(path, sha256="0" * 64)), "SHA-256", False),
        ],
    )
    def test_it_is_found_and_named(self, hub, damage, words, seen_without_files):
        damage(hub["mp_gvrh"])
        usable, damaged = hub.check()
        assert [module.name for module in usable] == ["mp_bandgap", "mp_kvrh"]
        assert [item.name for item in damaged] == ["mp_gvrh"]
        assert words in damaged[0].reason
        assert "mp_gvrh" in damaged[0].reason
        assert len(hub.check(files=False)[1]) == seen_without_files
        with pytest.raises(DamagedFileError, match="mp_gvrh"):
            hub["mp_gvrh"].verify()

    def test_a_folder_with_the_name_of_a_card(self, hub):
        (hub.folders[0] / "odd.json").mkdir()
        usable, damaged = hub.check()
        assert len(usable) == 3
        assert [item.name for item in damaged] == ["odd"]

    def test_other_files_are_no_modules(self, hub):
        for name in ("README.md", "x.safetensors", ".mp_new.json.abc.part", "notes.txt"):
            (hub.folders[0] / name).write_bytes(b"")
        assert len(hub) == 3
        assert hub.check()[1] == []

    def test_a_module_replaced_while_it_is_checked(self, hub, monkeypatch):
        """Its card is read, then another process publishes a new version and deletes the old file."""
        from moma_app.hub.module import Module

        verify = Module.verify
        replaced = []

        def replace_first(self):
            if self.name == "mp_gvrh" and not replaced:
                replaced.append(True)
                make_module("mp_gvrh", small_state(8)).save(hub.folders[0])
            verify(self)

        monkeypatch.setattr(Module, "verify", replace_first)
        usable, damaged = hub.check()
        assert damaged == []
        assert torch.equal(usable[1].tensor("backbone.bias"), small_state(8)["backbone.bias"])

    def test_a_module_removed_while_it_is_checked(self, hub, monkeypatch):
        paths = Hub._card_paths

        def and_remove(self):
            listed = paths(self)
            monkeypatch.undo()
            hub.remove("mp_gvrh")
            return listed

        monkeypatch.setattr(Hub, "_card_paths", and_remove)
        usable, damaged = hub.check()
        assert [module.name for module in usable] == ["mp_bandgap", "mp_kvrh"]
        assert damaged == []


class TestExportedFiles:
    def test_by_tensor_file_or_card(self, hub):
        module = hub["mp_kvrh"]
        for path in (module.path, hub.folders[0] / "mp_kvrh.json"):
            assert read_module_file(path).card == module.card

    def test_renamed_together(self, hub, tmp_path):
        module = hub["mp_kvrh"]
        module.path.rename(tmp_path / "sent.safetensors")
        (hub.folders[0] / "mp_kvrh.json").rename(tmp_path / "sent.json")
        read = read_module_file(tmp_path / "sent.safetensors")
        assert read.name == "mp_kvrh"
        assert torch.equal(read.tensor("backbone.bias"), small_state(0)["backbone.bias"])

    def test_the_given_file_is_the_one_that_is_checked(self, hub, tmp_path):
        (tmp_path / "sent.safetensors").write_bytes(hub["mp_gvrh"].path.read_bytes())
        card = hub["mp_kvrh"].card
        (tmp_path / "sent.json").write_text(card.model_dump_json())
        (tmp_path / card.file).write_bytes(hub["mp_kvrh"].path.read_bytes())
        with pytest.raises(DamagedFileError, match=r"sent\.safetensors.* SHA-256"):
            read_module_file(tmp_path / "sent.safetensors")

    def test_without_a_card(self, hub, tmp_path):
        path = tmp_path / "mp_kvrh-0123456789ab.safetensors"
        path.write_bytes(hub["mp_kvrh"].path.read_bytes())
        with pytest.raises(InputError, match=r"has no card: expected the file mp_kvrh\.json beside it"):
            read_module_file(path)
        with pytest.raises(InputError, match="has no card"):
            read_module_file(tmp_path / "nothing.json")

    def test_damaged(self, hub):
        flip(hub["mp_kvrh"].path)
        with pytest.raises(DamagedFileError, match="SHA-256"):
            read_module_file(hub["mp_kvrh"].path)


def start(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


PUBLISH = """
import sys
import time
from pathlib import Path
from module_factory import make_module, small_state
from moma_app.errors import InputError
from moma_app.hub import Hub

folder, number, overwrite = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "overwrite"
hub = Hub(folder / "hub")
(folder / f"ready-{number}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
won = []
for turn in range(12):
    for name in ("shared" if overwrite else f"shared-{turn}", f"own-{number}-{turn}"):
        try:
            hub.add(make_module(name, small_state(100 * number + turn)), overwrite=overwrite)
        except InputError:
            continue
        won.append(name)
    if overwrite:
        assert "shared" in hub
print(" ".join(won))
"""


@pytest.mark.parametrize("overwrite", [True, False], ids=["overwriting", "not overwriting"])
def test_two_processes_publish_at_once(tmp_path, overwrite):
    processes = [start(PUBLISH, tmp_path, n, "overwrite" if overwrite else "keep") for n in (1, 2)]
    hub = Hub(tmp_path / "hub")
    hub.folders[0].mkdir()
    try:
        while not all((tmp_path / f"ready-{n}").exists() for n in (1, 2)):
            assert all(process.poll() is None for process in processes)
            time.sleep(0.01)
        (tmp_path / "go").touch()
        while any(process.poll() is None for process in processes):
            for card in hub.cards():  # a reader never meets half a card
                assert card.size > 0
            time.sleep(0.005)
        won = [process.communicate(timeout=60)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0]
    own = {f"own-{n}-{turn}" for n in (1, 2) for turn in range(12)}
    shared = {"shared"} if overwrite else {f"shared-{turn}" for turn in range(12)}
    assert set(hub) == own | shared
    usable, damaged = hub.check()
    assert damaged == []
    assert len(usable) == len(own | shared)
    files = {path.name for path in hub.folders[0].iterdir() if not path.name.endswith(".lock")}
    expected = {f"{m.name}.json" for m in usable} | {m.card.file for m in usable}
    assert files == expected, "no partial or left-over file"
    for n, names in zip((1, 2), won, strict=True):
        for name in set(names) - {"shared"}:
            turn = int(name.rpartition("-")[2])
            stored = hub[name].tensor("backbone.bias")
            assert torch.equal(stored, small_state(100 * n + turn)["backbone.bias"])
    if not overwrite:
        assert not set(won[0]) & set(won[1]), "each name is published by one of them only"


def test_no_error_of_a_hub_is_a_bare_one(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    for use in (lambda: Hub(tmp_path)["x"], lambda: Hub(tmp_path)["y"]):
        with pytest.raises(MomaError):
            use()


def test_a_card_made_by_hand_is_enough(tmp_path):
    """A hub is files: what others put there is read."""
    module = make_module().save(tmp_path / "a")
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(module.path.read_bytes())
    card = make_card(file="weights.safetensors", sha256=module.card.sha256, size=module.card.size)
    (folder / "mp_kvrh.json").write_text(card.model_dump_json())
    assert Hub(folder).check()[1] == []
    assert Hub(folder)["mp_kvrh"].names() == module.names()


def test_listing_verifying_and_copying_need_no_pytorch(hub, tmp_path):
    """A face does all three; 400 modules are listed in well under a second, because each card is read once."""
    code = f"""
import sys
from pathlib import Path
from moma_app.hub.hub import Hub
hub = Hub(Path({str(hub.folders[0])!r}))
usable, damaged = hub.check()
assert len(usable) == 3 and not damaged
Hub(Path({str(tmp_path / "copy")!r})).add(usable[0])
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    copied = Hub(tmp_path / "copy")["mp_bandgap"]
    assert copied.card == hub["mp_bandgap"].card
    copied.verify()
