"""New versions of modules, the memory of old ones, releases: one process at a time or eight at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from module_factory import make_card, make_module, small_state

from moma_app.errors import DamagedFileError, IncompatibleError, InputError, UnknownNameError
from moma_app.hub import Card, Hub, Module
from moma_app.hub.manifest import Entry, Superseded, read_manifest, write_manifest
from moma_app.hub.places import BUILTIN
from moma_app.hub.releases import disagreements
from moma_app.hub.storage import stored_as


@pytest.fixture
def plain(tmp_path):
    """A hub without a manifest."""
    hub = Hub(tmp_path / "hub")
    for seed, name in enumerate(("mp_gvrh", "mp_kvrh")):
        hub.add(make_module(name, small_state(seed)))
    return hub


@pytest.fixture
def hub(plain):
    plain.release(name="mine", summary="Two modules.")
    return plain


def retrained(name="mp_kvrh", seed=7, **changes):
    return make_module(name, small_state(seed), **{"seed": seed, **changes})


def agrees(hub):
    """The manifest is what the cards say, and every file is sound."""
    assert disagreements(hub.folders[0]) == []
    assert hub.check()[1] == []
    assert hub.manifest.modules == {card.name: Entry.of(card) for card in hub.cards()}


class TestVersionsOfModules:
    def test_a_first_module_keeps_its_version(self, plain):
        assert plain["mp_kvrh"].card.version == "1.0.0"
        assert plain.add(make_module("other", version="4.5.6")).card.version == "4.5.6"

    def test_trained_anew_is_a_minor_version(self, plain):
        stored = plain.add(retrained(), overwrite=True)
        assert stored.card.version == plain["mp_kvrh"].card.version == "1.1.0"
        assert plain.add(retrained(seed=8), overwrite=True).card.version == "1.2.0"

    def test_stored_or_described_otherwise_is_a_patch(self, plain):
        half = stored_as(plain["mp_kvrh"], "float16")
        assert plain.add(half, overwrite=True).card.version == "1.0.1"
        noted = Module(half.card.model_copy(update={"note": "good"}), memory=half.memory)
        assert plain.add(noted, overwrite=True).card.version == "1.0.2"

    def test_what_cannot_stand_in_its_place_is_a_major_version(self, plain):
        other = make_module("mp_kvrh", small_state(3), fingerprint="f" * 16)
        assert plain.add(other, overwrite=True).card.version == "2.0.0"

    def test_the_same_module_again_is_no_new_version(self, plain):
        before = plain["mp_kvrh"].card
        assert plain.add(make_module("mp_kvrh", small_state(1)), overwrite=True).card == before
        assert plain.add(plain["mp_kvrh"], overwrite=True).card == before

    def test_a_higher_version_is_kept_and_a_lower_one_counted_up(self, plain):
        assert plain.add(retrained(version="3.0.0"), overwrite=True).card.version == "3.0.0"
        assert plain.add(retrained(seed=8, version="1.5.0"), overwrite=True).card.version == "3.1.0"
        assert plain.add(retrained(seed=9, version="3.1.0"), overwrite=True).card.version == "3.2.0"

    def test_a_version_that_is_none_counts_as_the_first(self, plain):
        odd = make_card("odd", version="latest")
        plain.add(Module(odd, memory=small_state()))
        assert plain["odd"].card.version == "latest"
        assert plain.add(retrained("odd"), overwrite=True).card.version == "1.1.0"

    def test_another_backbone_is_refused(self, hub):
        before = (hub.folders[0] / "hub.toml").read_bytes()
        other = make_module("mp_kvrh", small_state(3), backbone="cgcnn")
        with pytest.raises(
            IncompatibleError,
            match=r"has a module 'mp_kvrh' of backbone chgnet, this one is of cgcnn: .* another name",
        ):
            hub.add(other, overwrite=True)
        assert (hub.folders[0] / "hub.toml").read_bytes() == before
        agrees(hub)
        assert torch.equal(hub["mp_kvrh"].tensor("backbone.bias"), small_state(1)["backbone.bias"])

    def test_of_a_damaged_card_the_manifest_knows_version_and_hash(self, hub):
        old = hub["mp_kvrh"].card
        (hub.folders[0] / "mp_kvrh.json").write_text("{")
        assert hub.add(retrained(), overwrite=True).card.version == "1.1.0"
        (record,) = hub.manifest.superseded
        assert (record.version, record.sha256, record.superseded_by) == ("1.0.0", old.sha256, "1.1.0")
        agrees(hub)

    def test_a_damaged_card_without_a_manifest(self, plain):
        (plain.folders[0] / "mp_kvrh.json").write_text("{")
        assert plain.add(retrained(), overwrite=True).card.version == "1.0.0"
        assert plain.check()[1] == []

    def test_a_copy_is_a_copy(self, plain, tmp_path):
        plain.add(retrained(), overwrite=True)
        copies = Hub(tmp_path / "copies")
        assert copies.put(plain["mp_kvrh"]).card == plain["mp_kvrh"].card
        copies.put(make_module("mp_kvrh", small_state(4)), overwrite=True)
        assert copies["mp_kvrh"].card.version == "1.0.0"


class TestMemory:
    def test_a_hub_without_a_manifest_gets_none(self, plain):
        plain.add(retrained(), overwrite=True)
        plain.remove("mp_gvrh")
        assert not (plain.folders[0] / "hub.toml").exists()
        assert plain.version is None

    def test_what_was_superseded_is_kept(self, hub):
        old = hub["mp_kvrh"].card
        hub.add(retrained(), overwrite=True, why="trained for longer")
        agrees(hub)
        (record,) = hub.manifest.superseded
        assert (record.name, record.version, record.sha256) == ("mp_kvrh", "1.0.0", old.sha256)
        assert (record.superseded_by, record.why) == ("1.1.0", "trained for longer")
        assert (record.data, record.metrics, record.created) == (old.data, old.metrics, old.created)
        assert not (hub.folders[0] / old.file).exists()

    def test_the_reason_is_what_differs(self, hub):
        hub.add(retrained(recipe={"name": "long", "fit": {"epochs": 30}}), overwrite=True)
        (record,) = hub.manifest.superseded
        assert record.why == "seed 0 → 7; recipe.name – → long; recipe.fit.epochs – → 30"

    def test_what_was_removed_is_kept_and_may_come_back(self, hub):
        old = hub["mp_kvrh"]
        copy = Module(old.card, memory=dict(old.iter_tensors()))
        hub.remove("mp_kvrh", why="wrong labels")
        agrees(hub)
        (record,) = hub.manifest.superseded
        assert (record.superseded_by, record.why, record.sha256) == ("", "wrong labels", old.card.sha256)
        assert hub.add(copy).card.version == "1.0.0"
        assert hub.manifest.superseded == ()
        agrees(hub)

    def test_a_removed_version_is_not_given_to_another_module(self, hub):
        hub.remove("mp_kvrh")
        assert hub.add(retrained()).card.version == "1.1.0"
        assert [record.version for record in hub.manifest.superseded] == ["1.0.0"]
        agrees(hub)

    def test_the_hub_counts_up_with_its_modules(self, hub):
        assert hub.version == "1.0.0"
        hub.add(make_module("other", small_state(5)))
        assert hub.version == "1.1.0", "a module more"
        hub.add(retrained(), overwrite=True)
        assert hub.version == "1.2.0", "a minor version of a module"
        hub.add(stored_as(hub["mp_gvrh"], "float16"), overwrite=True)
        assert hub.version == "1.2.1", "a patch of a module"
        hub.add(hub["mp_gvrh"], overwrite=True)
        assert hub.version == "1.2.1", "the same again"
        hub.add(make_module("mp_gvrh", small_state(6), fingerprint="f" * 16), overwrite=True)
        assert hub.version == "2.0.0", "a major version of a module"
        hub.remove("other")
        assert hub.version == "3.0.0", "a module less"
        agrees(hub)

    def test_name_and_summary_stay(self, hub):
        hub.add(retrained(), overwrite=True)
        assert (hub.manifest.name, hub.manifest.summary) == ("mine", "Two modules.")


class TestFinding:
    @pytest.fixture
    def lived(self, hub):
        """mp_kvrh has had three versions."""
        first = hub["mp_kvrh"].card.sha256
        return hub, [
            first,
            *(hub.add(retrained(seed=seed), overwrite=True).card.sha256 for seed in (7, 8)),
        ]

    def test_by_version_and_by_hash(self, lived):
        hub, hashes = lived
        for version, sha256 in zip(("1.0.0", "1.1.0", "1.2.0"), hashes, strict=True):
            for which in (f"mp_kvrh@{version}", f"mp_kvrh@{sha256[:8]}", sha256[:12], sha256):
                found = hub.find(which)
                assert (found.name, found.version, found.sha256) == ("mp_kvrh", version, sha256)
                assert isinstance(found, Card if version == "1.2.0" else Superseded)
        assert hub.find("mp_kvrh") == hub["mp_kvrh"].card

    def test_what_a_result_of_old_names_is_found(self, lived):
        """An AMC result has the hash of each module's file."""
        hub, hashes = lived
        record = hub.find(hashes[0])
        assert record.superseded_by == "1.1.0"
        assert record.data.rows_train == 70

    def test_after_it_was_removed(self, lived):
        hub, hashes = lived
        hub.remove("mp_kvrh")
        assert hub.find("mp_kvrh@1.2.0").superseded_by == ""
        assert hub.find(hashes[1][:10]).version == "1.1.0"
        with pytest.raises(UnknownNameError, match="no module called 'mp_kvrh'"):
            hub.find("mp_kvrh")

    def test_in_every_folder_a_hidden_module_included(self, lived, tmp_path):
        hub, hashes = lived
        top = Hub(tmp_path / "top", *hub.folders)
        own = top.add(make_module("mp_kvrh", small_state(20), version="9.0.0")).card
        assert top.find("mp_kvrh") == own
        assert top.find("mp_kvrh@9.0.0") == own
        assert top.find("mp_kvrh@1.2.0").sha256 == hashes[2]
        assert top.find(hashes[0][:6]).version == "1.0.0"

    def test_two_modules_of_one_version_are_told_apart_by_hash(self, lived, tmp_path):
        hub, _ = lived
        top = Hub(tmp_path / "top", *hub.folders)
        own = top.add(make_module("mp_kvrh", small_state(20))).card
        with pytest.raises(InputError, match=rf"may mean several.*mp_kvrh@{own.sha256[:12]}"):
            top.find("mp_kvrh@1.0.0")
        assert top.find(f"mp_kvrh@{own.sha256[:12]}") == own

    def test_what_nobody_knows(self, lived):
        hub, _ = lived
        with pytest.raises(UnknownNameError, match=r"no version of module 'mp_kvrh' called '3.0.0'.*1\.0\.0"):
            hub.find("mp_kvrh@3.0.0")
        with pytest.raises(UnknownNameError, match="no module called 'mp_kvr': did you mean mp_kvrh"):
            hub.find("mp_kvr")
        with pytest.raises(UnknownNameError, match="no module called 'mp_kvr': did you mean mp_kvrh"):
            hub.find("mp_kvr@1.0.0")
        for nobody in ("0123456789", "ffffff"):
            with pytest.raises(UnknownNameError, match="no module with the SHA-256 called"):
                hub.find(nobody)

    def test_a_module_whose_name_looks_like_a_hash(self, plain):
        card = plain.add(make_module("deadbeef", small_state(3))).card
        assert plain.find("deadbeef") == card

    def test_the_built_in_hub(self):
        hub = Hub(BUILTIN)
        for card in hub.cards():
            assert hub.find(card.sha256[:12]) == card
            assert hub.find(f"{card.name}@{card.version}") == card


class TestReleasing:
    def test_the_first(self, plain):
        manifest = plain.release()
        assert (manifest.name, manifest.version) == ("hub", "1.0.0")
        assert manifest == plain.manifest
        agrees(plain)

    def test_with_a_version_of_ones_own(self, hub):
        assert hub.release("2.0.0-rc.1").version == "2.0.0-rc.1"
        assert hub.release("2.0.0", summary="Better.").summary == "Better."
        assert hub.manifest.name == "mine"

    def test_a_version_names_one_content(self, hub):
        assert hub.release().version == "1.0.0"
        assert hub.release("1.0.0", summary="Said anew.").summary == "Said anew."
        with pytest.raises(InputError, match=r"at version 1\.0\.0: 0\.9\.0 is not above it"):
            hub.release("0.9.0")
        make_module("new").save(hub.folders[0])
        with pytest.raises(InputError, match="a version names one content only"):
            hub.release("1.0.0")
        assert hub.release().version == "1.1.0"

    def test_it_takes_up_what_was_changed_behind_its_back(self, hub):
        folder = hub.folders[0]
        old = {name: hub[name].card for name in hub}
        make_module("new").save(folder)
        (folder / "mp_gvrh.json").unlink()
        retrained().save(folder)
        assert len(disagreements(folder)) == 3
        assert all("Run moma hub release" in each for each in disagreements(folder))
        assert hub.release().version == "2.0.0"
        agrees(hub)
        records = {record.name: record for record in hub.manifest.superseded}
        assert {name: record.sha256 for name, record in records.items()} == {
            name: card.sha256 for name, card in old.items()
        }
        assert hub.find(old["mp_gvrh"].sha256).version == "1.0.0"

    def test_what_cannot_be_released(self, hub, tmp_path):
        with pytest.raises(InputError, match="has no module"):
            Hub(tmp_path / "nowhere").release()
        with pytest.raises(InputError, match="no semantic version"):
            hub.release("2")
        with pytest.raises(InputError, match="cannot be called 'a/b'"):
            hub.release(name="a/b")
        (hub.folders[0] / "mp_kvrh.json").write_text("{")
        with pytest.raises(DamagedFileError, match="mp_kvrh"):
            hub.release()


def run_python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestStoppedInTheMiddle:
    @pytest.mark.parametrize("step", ["publish", "atomic_write_text"])
    def test_an_exception_leaves_the_manifest_as_it_was(self, hub, monkeypatch, step):
        before = (hub.folders[0] / "hub.toml").read_bytes()

        def fail(*_args, **_kwargs):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(f"moma_app.hub.module.{step}", fail)
            with pytest.raises(KeyboardInterrupt):
                hub.add(retrained(), overwrite=True)
        assert (hub.folders[0] / "hub.toml").read_bytes() == before
        assert hub["mp_kvrh"].card.version == "1.0.0"
        agrees(hub)

    def test_a_kill_loses_no_memory_and_the_next_publication_puts_it_right(self, hub):
        old = hub["mp_kvrh"].card
        code = """
        import os, signal, sys
        from pathlib import Path
        from module_factory import make_module, small_state
        from moma_app.hub import Hub, module
        module.atomic_write_text = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
        Hub(Path(sys.argv[1])).add(make_module("mp_kvrh", small_state(3), seed=3), overwrite=True)
        """
        assert run_python(code, hub.folders[0]).wait(60) == -signal.SIGKILL
        assert hub["mp_kvrh"].card == old
        assert hub.find(old.sha256) == old, "a card comes before a record"
        (behind,) = disagreements(hub.folders[0])
        assert "it has mp_kvrh 1.1.0" in behind
        assert hub.add(retrained(), overwrite=True).card.version == "1.1.0"
        agrees(hub)
        assert [(r.name, r.version, r.sha256) for r in hub.manifest.superseded] == [
            ("mp_kvrh", "1.0.0", old.sha256)
        ]


PUBLISH = """
import sys, time
from pathlib import Path
from module_factory import make_module, small_state
from moma_app.hub import Hub

folder, number = Path(sys.argv[1]), int(sys.argv[2])
hub = Hub(folder / "hub")
(folder / f"ready-{number}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
for turn in range(3):
    hub.add(make_module(f"own-{number}-{turn}", small_state(turn)))
    hub.add(make_module("shared", small_state(100 * number + turn), seed=100 * number + turn), overwrite=True)
hub.remove(f"own-{number}-0")
"""


def test_eight_processes_at_once(tmp_path):
    """Each number is given once, nothing that was superseded is forgotten."""
    hub = Hub(tmp_path / "hub")
    hub.add(make_module("shared", small_state(99), seed=99))
    hub.release()
    processes = [run_python(PUBLISH, tmp_path, n) for n in range(1, 9)]
    try:
        while not all((tmp_path / f"ready-{n}").exists() for n in range(1, 9)):
            assert all(process.poll() is None for process in processes)
        (tmp_path / "go").touch()
        for process in processes:
            process.communicate(timeout=240)
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * 8
    agrees(hub)
    assert len(hub) == 1 + 8 * 2
    assert hub["shared"].card.version == "1.24.0"
    shared = [record for record in hub.manifest.superseded if record.name == "shared"]
    assert sorted(record.version for record in shared) == sorted(f"1.{n}.0" for n in range(24))
    assert len({record.sha256 for record in shared} | {hub["shared"].card.sha256}) == 25
    by = {record.version: record.superseded_by for record in shared}
    assert all(by[f"1.{n}.0"] == f"1.{n + 1}.0" for n in range(24))
    removed = [record for record in hub.manifest.superseded if not record.superseded_by]
    assert {record.name for record in removed} == {f"own-{n}-0" for n in range(1, 9)}
    assert hub.version.startswith("9."), "eight removals"


def test_a_manifest_edited_by_hand_goes_on(hub):
    folder = hub.folders[0]
    write_manifest(folder, read_manifest(folder).model_copy(update={"version": "5.0.0", "name": "ours"}))
    hub.add(retrained(), overwrite=True)
    assert (hub.manifest.name, hub.version) == ("ours", "5.1.0")
