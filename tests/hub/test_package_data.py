"""The built-in hub comes with pip: every file of it is package data, and all of it is sound."""

from __future__ import annotations

import tomllib
from pathlib import Path

import moma_app
from moma_app.hub import Hub
from moma_app.hub.places import BUILTIN
from moma_app.hub.releases import disagreements

PACKAGE = Path(moma_app.__file__).parent


def packaged():
    """Files that the patterns of pyproject.toml take into a wheel."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["moma_app"]
    return {path for pattern in patterns for path in PACKAGE.glob(pattern)}


def test_every_file_of_the_built_in_hub_is_package_data():
    files = {path for path in BUILTIN.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert files
    assert files <= packaged()
    assert BUILTIN / "hub.toml" in files


def test_the_built_in_hub_is_what_its_manifest_says():
    hub = Hub(BUILTIN)
    assert hub.check()[1] == []
    assert disagreements(BUILTIN) == []
    assert hub.manifest is not None
    assert set(hub.manifest.modules) == set(hub)


def test_it_is_small_to_carry():
    """36 MB for all modules, cards and manifest included."""
    assert sum(path.stat().st_size for path in BUILTIN.iterdir()) < 36e6


def test_an_adapter_module_is_under_a_quarter_of_a_full_one():
    cards = Hub(BUILTIN).cards()
    full = {(c.backbone, c.storage): c.size for c in cards if c.kind == "full"}
    for card in cards:
        if card.kind == "adapter" and (card.backbone, card.storage) in full:
            assert card.size < full[card.backbone, card.storage] / 4
