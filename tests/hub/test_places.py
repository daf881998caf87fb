"""Addresses of hubs: names, folders, the built-in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from module_factory import make_module

from moma_app.config import get_settings
from moma_app.errors import InputError, UnknownNameError
from moma_app.hub import Hub
from moma_app.hub.places import BUILTIN, named_hubs, place_of, writable_place


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def named():
    folder = get_settings().hubs_folder / "others"
    Hub(folder).add(make_module("mp_kvrh"))
    return folder


def test_a_hub_is_found_by_its_name(named):
    assert named == get_settings().home / "hubs" / "others"
    assert named_hubs() == {"others": named}
    assert Hub.open("others").folders == (named,)
    assert list(Hub.open("others")) == ["mp_kvrh"]


def test_without_named_hubs_there_are_none(named):
    (named.parent / ".others.part").mkdir()
    (named.parent / "notes.txt").write_text("")
    assert list(named_hubs()) == ["others"]
    for path in named.iterdir():
        path.unlink()
    named.rmdir()
    assert named_hubs() == {}


def test_the_name_comes_before_a_folder_of_that_name_which_is_still_reached(named, tmp_path):
    (tmp_path / "others").mkdir()
    (tmp_path / "plain").mkdir()
    assert place_of("others") == named
    assert place_of("./others") == tmp_path / "others"
    assert place_of(Path("others")) == tmp_path / "others"
    assert place_of(str(tmp_path / "others")) == tmp_path / "others"
    assert Hub.open("plain").folders == (tmp_path / "plain",)
    assert place_of("new") == named.parent / "new"
    assert place_of("builtin") == BUILTIN


def test_a_name_that_is_not_there(named):
    with pytest.raises(UnknownNameError, match=r"^There is no hub called 'other': did you mean others\?"):
        Hub.open("other")
    with pytest.raises(InputError, match=r"no hub at nowhere/at/all: that folder does not exist"):
        Hub.open("nowhere/at/all")


def test_where_modules_are_added(named, tmp_path):
    assert writable_place(None, tmp_path) == tmp_path
    assert writable_place("others", tmp_path) == named
    with pytest.raises(InputError, match="hub builtin comes with MoMa and stays as it is"):
        writable_place("builtin", tmp_path)
