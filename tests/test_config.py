"""Settings: defaults, then the environment; what cannot be used is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from moma_app.config import Settings, get_settings
from moma_app.errors import InputError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("MOMA_"):
            monkeypatch.delenv(name)
    return monkeypatch.setenv


def test_defaults(environment, tmp_path):
    environment("XDG_CACHE_HOME", str(tmp_path))
    settings = get_settings()
    assert settings.home.name == "moma"
    assert settings.data == ()
    assert settings.device == "auto"
    assert settings.threads is None
    assert settings.hub_folder == settings.home / "hub"
    assert settings.graph_folder == settings.home / "graphs"
    assert settings.data_folders == (settings.cache_folder,) == (settings.home / "data",)


def test_reading_settings_makes_no_folder(environment, tmp_path):
    environment("MOMA_HOME", str(tmp_path / "home"))
    get_settings()
    assert list(tmp_path.iterdir()) == []


def test_the_environment_comes_before_defaults(environment):
    environment("MOMA_HOME", "/scratch/moma")
    environment("MOMA_DATA", os.pathsep.join(["/data/one", "", "/data/two"]))
    environment("MOMA_DEVICE", "cpu")
    environment("MOMA_THREADS", "3")
    settings = get_settings()
    assert settings.hub_folder == Path("/scratch/moma/hub")
    assert settings.data_folders == (Path("/data/one"), Path("/data/two"), Path("/scratch/moma/data"))
    assert (settings.device, settings.threads) == ("cpu", 3)
    environment("MOMA_HUB", "/group/hub")
    assert get_settings().hub_folder == Path("/group/hub")


def test_arguments_come_before_the_environment(environment):
    environment("MOMA_HOME", "/scratch/moma")
    environment("MOMA_DEVICE", "cuda")
    assert Settings(home=Path("/else")).home == Path("/else")
    assert Settings(home=Path("/else")).device == "cuda"


def test_a_changed_environment_is_seen_and_an_unchanged_one_is_read_once(environment):
    environment("MOMA_HOME", "/one")
    first = get_settings()
    assert get_settings() is first
    environment("MOMA_HOME", "/two")
    assert get_settings().home == Path("/two")
    environment("MOMA_HOME", "/one")
    assert get_settings() == first


def test_a_changed_cache_folder_is_seen(environment, tmp_path):
    for name in ("a", "b"):
        environment("XDG_CACHE_HOME", str(tmp_path / name))
        environment("HOME", str(tmp_path / name))
        assert tmp_path / name in get_settings().home.parents


def test_the_users_home_is_understood(environment, tmp_path):
    environment("HOME", str(tmp_path))
    environment("MOMA_HOME", "~/moma")
    environment("MOMA_HUB", "~/hub")
    environment("MOMA_DATA", f"~/one{os.pathsep}/two")
    settings = get_settings()
    assert settings.home == tmp_path / "moma"
    assert settings.hub_folder == tmp_path / "hub"
    assert settings.data == (tmp_path / "one", Path("/two"))


@pytest.mark.parametrize("name", ["HOME", "DATA", "HUB", "DEVICE", "THREADS"])
def test_an_empty_variable_is_as_good_as_none(environment, name):
    without = get_settings()
    environment(f"MOMA_{name}", "")
    assert get_settings() == without


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DEVICE", "gpu", r"MOMA_DEVICE cannot be 'gpu': .*'auto', 'cpu', 'cuda' or 'mps'"),
        ("THREADS", "many", r"MOMA_THREADS cannot be 'many': .*valid integer"),
        ("THREADS", "0", r"MOMA_THREADS cannot be '0': .*greater than or equal to 1"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_in_one_sentence(environment, name, value, words):
    environment(f"MOMA_{name}", value)
    with pytest.raises(InputError, match=words) as caught:
        get_settings()
    assert "\n" not in str(caught.value)


def test_other_variables_of_the_family_do_no_harm(environment):
    environment("MOMA_SOMETHING_ELSE", "1")
    get_settings()


def test_settings_do_not_change_and_have_no_unknown_field():
    settings = get_settings()
    with pytest.raises(ValidationError):
        settings.device = "cpu"
    with pytest.raises(ValidationError, match="colour"):
        Settings(colour="red")
