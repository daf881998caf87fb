"""The hubs of the package come with pip: every file is package data, all is sound, small, and says how good it is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import moma_app
from moma_app.backbones.registry import get_backbone
from moma_app.hub import Hub
from moma_app.hub.places import PACKAGED
from moma_app.hub.quality import quality_of
from moma_app.hub.releases import disagreements
from moma_app.tasks.catalogue import catalogue
from moma_app.work.hub_recipe import HubRecipe

PACKAGE = Path(moma_app.__file__).parent
DOWNSTREAM = {spec.name for spec in catalogue().values() if spec.role == "downstream"}
LEFT_OUT = {"builtin": 0, "clean": 14}
"""Downstream tasks whose structures a hub has not seen: all that we have the data of."""

pytestmark = pytest.mark.parametrize("name", PACKAGED)


def packaged():
    """Files that the patterns of pyproject.toml take into a wheel."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["moma_app"]
    return {path for pattern in patterns for path in PACKAGE.glob(pattern)}


def test_every_file_is_package_data(name):
    folder = PACKAGED[name]
    files = {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert folder / "hub.toml" in files
    assert files <= packaged()


def test_it_is_what_its_manifest_says(name):
    hub = Hub.open(name)
    assert hub.check()[1] == []
    assert disagreements(PACKAGED[name]) == []
    assert set(hub.manifest.modules) == set(hub)


def test_it_is_what_its_recipe_says(name):
    recipe, hub = HubRecipe.load(name), Hub.open(name)
    orders = {order.name: order for order in recipe.orders("cpu")}
    assert set(orders) == set(hub)
    assert (hub.version, len(hub)) == {"builtin": ("2.0.0", 28), "clean": ("1.0.0", 5)}[name]
    for card in hub.cards():
        assert card.kind == orders[card.name].kind
        assert card.recipe["name"] == "hub-cpu"
        assert card.fingerprint == get_backbone("chgnet").fingerprint


def test_it_is_small_to_carry(name):
    """36 MB for all modules, cards and manifest included; half precision; an adapter under a quarter of a full one."""
    assert sum(path.stat().st_size for path in PACKAGED[name].iterdir()) < 36e6
    cards = Hub.open(name).cards()
    largest = min(card.size for card in cards if card.kind == "full")
    for card in cards:
        assert card.storage in {"float16", "bfloat16"}
        assert card.kind == "full" or card.size < largest / 4


def test_cards_say_how_good_a_module_is(name):
    for row in quality_of(Hub.open(name).cards()):
        assert row.seconds > 0
        if row.mae is None:
            assert 0 < row.macro_f1 <= row.accuracy < 1
            continue
        assert 0 < row.mae_over_mad < 1
        assert row.published
        if name == "builtin":
            assert row.scratch_mae > 0


def test_only_the_clean_edition_leaves_out_what_small_tasks_hold(name):
    for card in Hub.open(name).cards():
        assert set(card.data.excluded_tasks) <= DOWNSTREAM
        assert len(card.data.excluded_tasks) == LEFT_OUT[name]
        assert (card.data.rows_excluded > 0) == (name == "clean" and card.name != "castelli_eform")
