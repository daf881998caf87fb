"""What differs between two hubs: each module is added, removed, changed or unchanged, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from module_factory import make_card, make_module, small_state

from moma_app.errors import DamagedFileError, InputError
from moma_app.hub import Hub
from moma_app.hub.card import Data, Metrics, Target
from moma_app.hub.diff import diff
from moma_app.hub.remote import looking_at
from moma_app.hub.storage import stored_as


@pytest.fixture
def old(tmp_path):
    hub = Hub(tmp_path / "old")
    for seed, name in enumerate(("mp_bandgap", "mp_gvrh", "mp_kvrh")):
        hub.add(make_module(name, small_state(seed), metrics=Metrics(test_mae=0.4, test_mad=1.0)))
    hub.release(name="mine")
    return hub


@pytest.fixture
def new(old, tmp_path):
    """A hub that began as a copy of the old one."""
    hub = Hub(tmp_path / "new")
    for module in old.values():
        hub.add(module)
    hub.release(name="mine")
    return hub


def test_equal_hubs(old, new):
    found = diff(old, new)
    assert found.is_empty
    assert found.unchanged == ("mp_bandgap", "mp_gvrh", "mp_kvrh")
    assert (found.added, found.removed, found.changed) == ((), (), ())
    assert (found.old.version, found.new.version) == ("1.0.0", "1.0.0")
    assert found.old.size == sum(card.size for card in old.cards())


def test_added_removed_changed(old, new):
    new.remove("mp_bandgap")
    new.add(make_module("mp_eform", small_state(4)))
    better = make_module(
        "mp_kvrh",
        small_state(5),
        seed=5,
        recipe={"fit": {"epochs": 30}},
        data=Data(source="matminer", rows_train=700, rows_val=15, rows_test=15, hash="1" * 64),
        metrics=Metrics(test_mae=0.3, test_mad=1.0),
    )
    new.add(better, overwrite=True)
    found = diff(old, new, names=("before", "after"))
    assert not found.is_empty
    assert [card.name for card in found.removed] == ["mp_bandgap"]
    assert [card.name for card in found.added] == ["mp_eform"]
    assert found.unchanged == ("mp_gvrh",)
    (changed,) = found.changed
    assert (changed.old.version, changed.new.version) == ("1.0.0", "1.1.0")
    assert changed.error_change == pytest.approx(-0.25)
    fields = {change.field: (change.old, change.new) for change in changed.changes}
    assert fields["data.rows_train"] == (70, 700)
    assert fields["recipe.fit.epochs"] == (None, 30)
    assert fields["metrics.test_mae"] == (0.4, 0.3)
    assert "version" not in fields
    assert (found.old.where, found.new.where) == ("before", "after")
    assert found.new.version == "2.2.0"


def test_as_json(old, new):
    new.add(stored_as(new["mp_kvrh"], "float16"), overwrite=True)
    data = json.loads(json.dumps(diff(old, new).to_dict(), allow_nan=False))
    (changed,) = data["changed"]
    assert changed["name"] == "mp_kvrh"
    assert (changed["old"]["version"], changed["new"]["version"]) == ("1.0.0", "1.0.1")
    assert changed["changes"]["storage"] == ["float32", "float16"]
    assert changed["test_mae_change"] == 0
    assert changed["new"]["size"] < changed["old"]["size"]
    assert data["unchanged"] == ["mp_bandgap", "mp_gvrh"]
    assert data["old"] == {
        "where": "old",
        "name": "mine",
        "version": "1.0.0",
        "modules": 3,
        "size": sum(card.size for card in old.cards()),
        "damaged": {},
    }


def test_only_the_number(old, new):
    card = new.folders[0] / "mp_gvrh.json"
    card.write_text(card.read_text().replace('"version": "1.0.0"', '"version": "1.5.0"'))
    (changed,) = diff(old, new).changed
    assert changed.changes == ()
    assert changed.new.version == "1.5.0"


def test_errors_in_other_units_have_no_ratio(old, new):
    target = Target(task="mp_kvrh", property="bulk modulus", unit="GPa")
    new.add(
        make_module("mp_kvrh", small_state(2), target=target, metrics=Metrics(test_mae=9)), overwrite=True
    )
    (changed,) = diff(old, new).changed
    assert changed.error_change is None


def test_of_a_damaged_module_nothing_is_said(old, new):
    (new.folders[0] / "mp_kvrh.json").write_text("{")
    found = diff(old, new)
    assert found.unchanged == ("mp_bandgap", "mp_gvrh")
    assert found.removed == found.changed == ()
    assert [damage.name for damage in found.new.damaged] == ["mp_kvrh"]
    assert "mp_kvrh" in found.to_dict()["new"]["damaged"]


def test_no_tensor_is_read(old, new):
    for hub in (old, new):
        for path in hub.folders[0].glob("*.safetensors"):
            path.unlink()
    assert diff(old, new).is_empty


cards = st.builds(
    lambda name, seed, note: make_card(name, seed=seed, note=note, sha256=f"{seed:064}"),
    st.sampled_from("abcde"),
    st.integers(0, 2),
    st.sampled_from(["", "x"]),
)
hubs = st.lists(cards, max_size=5, unique_by=lambda card: card.name)


@settings(deadline=None, max_examples=60)
@given(hubs, hubs)
def test_each_module_is_in_one_group_and_the_way_back_is_the_reverse(tmp_path_factory, here, there):
    opened = []
    for number, side in enumerate((here, there)):
        folder = tmp_path_factory.mktemp(f"side{number}")
        for card in side:
            (folder / f"{card.name}.json").write_text(card.model_dump_json())
        opened.append(Hub(folder))
    found, back = diff(*opened), diff(*reversed(opened))
    first, second = ({card.name: card for card in side} for side in (here, there))
    assert {card.name for card in found.added} == second.keys() - first.keys()
    assert {card.name for card in found.removed} == first.keys() - second.keys()
    both = first.keys() & second.keys()
    assert {each.new.name for each in found.changed} == {name for name in both if first[name] != second[name]}
    assert set(found.unchanged) == {name for name in both if first[name] == second[name]}
    assert back.added == found.removed
    assert back.removed == found.added
    assert [(each.new, each.old) for each in back.changed] == [(each.old, each.new) for each in found.changed]


class TestSources:
    def test_folders_and_the_built_in_hub(self, old):
        for source in (str(old.folders[0]), f"file:{old.folders[0]}", "builtin"):
            with looking_at(source) as hub:
                assert len(hub)

    def test_what_is_no_hub(self, tmp_path):
        with (
            pytest.raises(InputError, match=rf"^{tmp_path} is no hub: it has neither"),
            looking_at(str(tmp_path)),
        ):
            pass
        (tmp_path / "package.json").write_text("{}")
        with pytest.raises(InputError, match="is no hub"), looking_at(str(tmp_path)):
            pass
        with pytest.raises(InputError, match="that folder does not exist"), looking_at("file:/nowhere/hub"):
            pass
        with pytest.raises(InputError, match="neither a folder nor OWNER/REPOSITORY"), looking_at("nothing"):
            pass

    def test_an_empty_hub_with_a_manifest_is_one(self, tmp_path):
        (tmp_path / "hub.toml").write_text('name = "mine"\nversion = "0.1.0"\n')
        with looking_at(str(tmp_path)) as hub:
            assert diff(hub, hub).old.version == "0.1.0"

    def test_a_damaged_manifest(self, old, tmp_path):
        (old.folders[0] / "hub.toml").write_text("name = ")
        with (
            looking_at(str(old.folders[0])) as hub,
            pytest.raises(DamagedFileError, match=r"hub\.toml is no TOML"),
        ):
            diff(hub, hub)
