"""``moma hub`` over time: diff, release, superseded modules, half precision, modules that do not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from module_factory import make_module, real_module, small_state, with_head

from moma_app.backbones.registry import get_backbone
from moma_app.hub import Hub, Module
from moma_app.hub.card import Data, Metrics, Target
from moma_app.hub.remote import export
from moma_app.tasks import get_task

TASK = "elemental_bulk_modulus"


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    monkeypatch.setenv("MOMA_DEVICE", "cpu")


@pytest.fixture
def old(tmp_path):
    hub = Hub(tmp_path / "old")
    for seed, name in enumerate(("mp_bandgap", "mp_gvrh", "mp_kvrh")):
        metrics = Metrics(test_mae=0.4, test_mad=1.0)
        hub.add(make_module(name, small_state(seed), metrics=metrics, recipe={"fit": {"epochs": 10}}))
    hub.release(name="mine", summary="Three modules.")
    return hub


@pytest.fixture
def new(old, tmp_path):
    hub = Hub(tmp_path / "new")
    for module in old.values():
        hub.add(module)
    hub.release(name="mine", summary="Three modules.")
    better = Metrics(test_mae=0.3, test_mad=1.0)
    hub.add(
        make_module("mp_kvrh", small_state(7), seed=7, metrics=better, recipe={"fit": {"epochs": 30}}),
        overwrite=True,
    )
    hub.add(make_module("mp_eform", small_state(8), metrics=better))
    hub.remove("mp_bandgap")
    return hub


def folder(hub):
    return hub.folders[0]


def test_diff_in_words(ok, old, new):
    lines = ok("hub", "diff", folder(old), folder(new)).splitlines()
    assert lines[0] == f"old  {folder(old)}: mine 1.0.0, 3 modules, 0.00 MB"
    assert lines[1] == f"new  {folder(new)}: mine 2.0.0, 3 modules, 0.00 MB"
    text = "\n".join(lines)
    assert (
        "added (1)\n  mp_eform 1.0.0: full, chgnet, 70 train rows, test MAE 0.3 log10(GPa), float32" in text
    )
    assert "removed (1)\n  mp_bandgap 1.0.0" in text
    assert (
        "changed (1)\n  mp_kvrh 1.0.0 → 1.1.0: test MAE 0.4 log10(GPa) → 0.3 log10(GPa) (-25.00%); "
        "recipe.fit.epochs 10 → 30; seed 0 → 7" in text
    )
    assert "unchanged (1): mp_gvrh" in text
    assert text.endswith("total size 0.00 MB → 0.00 MB (+0%)")


def test_diff_as_json(ok, old, new):
    data = json.loads(ok("hub", "diff", folder(old), folder(new), "--json"))
    assert [card["name"] for card in data["added"]] == ["mp_eform"]
    assert [card["name"] for card in data["removed"]] == ["mp_bandgap"]
    assert data["changed"][0]["changes"]["recipe.fit.epochs"] == [10, 30]
    assert data["unchanged"] == ["mp_gvrh"]
    assert (data["old"]["version"], data["new"]["version"]) == ("1.0.0", "2.0.0")


def test_diff_with_the_built_in_hub(ok, old):
    text = ok("hub", "diff", "builtin", f"file:{folder(old)}")
    assert "changed" in text
    assert "removed" in text
    assert f"unchanged ({len(Hub.open('builtin'))}): " in ok("hub", "diff", "builtin", "builtin")


def test_diff_of_what_is_no_hub(refused, old, tmp_path):
    message = refused("hub", "diff", folder(old), tmp_path)
    assert "is no hub: it has neither a module's card" in " ".join(message.split())
    assert "neither a folder nor" in refused("hub", "diff", tmp_path / "nowhere", folder(old))


def test_release_list_and_show(ok, refused, tmp_path):
    hub = Hub(tmp_path / "hub")
    hub.add(make_module())
    assert ok("hub", "release", "--hub", folder(hub), "--name", "mine") == "mine 1.0.0, 1 module.\n"
    assert (
        ok("hub", "release", "1.5.0", "--hub", folder(hub), "--summary", "One.") == "mine 1.5.0, 1 module.\n"
    )
    assert f"mine 1.5.0 ({folder(hub)}). One." in ok("hub", "list", "--hub", folder(hub))
    assert "is not above it" in refused("hub", "release", "1.4.0", "--hub", folder(hub))
    assert "no semantic version" in refused("hub", "release", "v2", "--hub", folder(hub))


def test_a_damaged_manifest_is_told_and_hides_nothing(moma, refused, old):
    (folder(old) / "hub.toml").write_text("name = ")
    code, out, err = moma("hub", "list", "--hub", folder(old))
    assert code == 0
    assert "mp_kvrh" in out
    said = "hub.tomlisnoTOML"  # a long path is wrapped anywhere
    assert said in "".join(err.split())
    assert said in "".join(refused("hub", "verify", "--hub", folder(old)).split())


def test_an_old_result_is_told_which_module_it_used(ok, refused, old, new):
    before = old["mp_kvrh"].card
    for which in ("mp_kvrh@1.0.0", before.sha256, before.sha256[:10], f"mp_kvrh@{before.sha256[:8]}"):
        text = ok("hub", "show", which, "--hub", folder(new))
        assert "superseded by 1.1.0" in text
        assert before.sha256 in text
        assert "0.4 log10(GPa) on 15 rows" in text
        assert "now          mp_kvrh 1.1.0" in text
    data = json.loads(ok("hub", "show", "mp_kvrh@1.0.0", "--hub", folder(new), "--json"))
    assert (data["superseded_by"], data["metrics"]["test_mae"], data["data"]["rows_train"]) == (
        "1.1.0",
        0.4,
        70,
    )
    assert "removed on" in ok("hub", "show", "mp_bandgap@1.0.0", "--hub", folder(new))
    assert "mp_kvrh 1.1.0 (full)" in ok("hub", "show", "mp_kvrh", "--hub", folder(new))
    assert "no version of module" in refused("hub", "show", "mp_kvrh@9.9.9", "--hub", folder(new))


def test_verify_tells_of_a_manifest_that_is_behind(ok, refused, old):
    assert "3 modules sound" in ok("hub", "verify", "--hub", folder(old))
    make_module("new").save(folder(old))
    assert "moma hub release" in refused("hub", "verify", "--hub", folder(old))
    ok("hub", "release", "--hub", folder(old))
    assert json.loads(ok("hub", "verify", "--hub", folder(old), "--json"))["manifest"] == []


def test_add_supersedes_and_says_the_version(ok, refused, tmp_path):
    hub = Hub(tmp_path / "hub")
    fingerprint = get_backbone("chgnet").fingerprint
    hub.add(make_module("a", fingerprint=fingerprint))
    hub.release()
    sent = make_module("a", small_state(4), seed=4, fingerprint=fingerprint).save(tmp_path / "made")
    _, file = export(sent, tmp_path / "sent")
    assert "already has" in refused("hub", "add", file, "--hub", folder(hub))
    added = ok("hub", "add", file, "--hub", folder(hub), "--overwrite", "--why", "labels corrected")
    assert added == "Added a 1.1.0.\n"
    assert "labels corrected" in ok("hub", "show", "a@1.0.0", "--hub", folder(hub))


def test_add_refuses_other_weights_and_names_them(refused, tmp_path):
    hub = Hub(tmp_path / "hub")
    _, file = export(make_module("a", fingerprint="f" * 16).save(tmp_path / "made"), tmp_path / "sent")
    folder(hub).mkdir()
    message = " ".join(refused("hub", "add", file, "--hub", folder(hub)).split())
    installed = get_backbone("chgnet").fingerprint
    assert f"chgnet weights {'f' * 16}, but those installed here are {installed}" in message


class TestShrink:
    @pytest.fixture
    def hub(self, tmp_path):
        """Two modules for the embedded task, and one for a task without data."""
        hub = Hub(tmp_path / "hub")
        data = get_task(TASK).load()
        facts = Data(
            source="ASE", rows_train=49, rows_val=11, rows_test=11, split_seed=0, hash=data.content_hash()
        )
        target = Target(task=TASK, property="bulk modulus", unit="log10(GPa)")
        for seed, name in enumerate(("first", "second")):
            module = real_module(name, seed, backbone="cgcnn", noise=0.01, data=facts, target=target)
            hub.add(with_head(module, seed))
        elsewhere = Target(task="mp_phonons", property="phonon peak", unit="1/cm")
        hub.add(with_head(real_module("third", 3, target=elsewhere)))
        hub.release()
        return hub

    def test_all(self, ok, hub):
        before = {card.name: card for card in hub.cards()}
        rows = json.loads(ok("hub", "shrink", "--hub", folder(hub), "--json", "-q"))
        assert [row["name"] for row in rows] == ["first", "second"]
        for row in rows:
            card = hub[row["name"]].card
            assert (card.version, card.storage) == (row["version"], row["storage"]) == ("1.0.1", "float16")
            assert abs(row["error"] - row["error_float32"]) <= 0.005 * row["error_float32"]
            assert row["change"] == pytest.approx(abs(row["error"] / row["error_float32"] - 1))
            assert card.size == row["size"] < 0.56 * before[card.name].size
            assert card.metrics.test_mae == row["error"]
            assert "stored in float16" in hub.find(f"{card.name}@1.0.0").why
        assert hub["third"].card == before["third"]
        assert hub.check()[1] == []
        ok("hub", "verify", "--hub", folder(hub))
        assert json.loads(ok("hub", "shrink", "--hub", folder(hub), "--json", "-q")) == []

    def test_one(self, ok, refused, hub):
        text = ok("hub", "shrink", "second", "--hub", folder(hub), "-q")
        assert "float16" in text
        assert "first" not in text
        assert "is stored in float16 already" in refused(
            "hub", "shrink", "second", "--hub", folder(hub), "-q"
        )
        assert "moma tasks fetch mp_phonons" in refused("hub", "shrink", "third", "--hub", folder(hub), "-q")

    def test_nothing_changes_that_would_change_the_error(self, ok, hub):
        (row,) = json.loads(
            ok("hub", "shrink", "first", "--tolerance", 0, "--hub", folder(hub), "--json", "-q")
        )
        exact = np.isclose(row["error"], row["error_float32"], rtol=0, atol=0)
        assert exact
        assert row["storage"] == "float32" or row["change"] == 0

    def test_other_rows_are_no_test(self, refused, hub):
        module = hub["first"]
        data = module.card.data.model_copy(update={"hash": "0" * 64})
        card = module.card.model_copy(update={"data": data})
        hub.put(Module(card, memory=dict(module.iter_tensors())), overwrite=True)
        assert "not those that it was trained on" in " ".join(
            refused("hub", "shrink", "first", "--hub", folder(hub), "-q").split()
        )
