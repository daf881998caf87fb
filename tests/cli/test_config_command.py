"""``moma config`` and ``moma doctor``, and the options of ``moma`` itself."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from moma_app.cli.output import out
from moma_app.config import get_settings, user_config_file


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    """No variables of ours, and a working directory and a home without files."""
    for name in list(os.environ):
        if name.startswith("MOMA_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def shown(moma, *arguments):
    code, text, complaint = moma(*arguments, "config", "show", "--json")
    assert code == 0, complaint
    return {item["key"]: item for item in json.loads(text)["settings"]}


class TestShow:
    def test_says_where_each_value_comes_from(self, moma, monkeypatch, tmp_path):
        monkeypatch.setenv("MOMA_DEVICE", "cpu")
        Path("moma.toml").write_text("threads = 3\n")
        settings = shown(moma, "--set", "workers=2", "--set", "kernel=torch")
        assert settings["threads"]["value"] == 3
        assert settings["threads"]["origin"] == f"file {tmp_path / 'work' / 'moma.toml'}"
        assert settings["device"]["origin"] == "environment MOMA_DEVICE"
        assert settings["workers"]["origin"] == "flag --set workers=2"
        assert settings["home"]["origin"] == "default"

    @pytest.mark.parametrize("width", [60, 80, 200, 400])
    def test_the_table_holds_the_same_at_any_width(self, moma, monkeypatch, width):
        monkeypatch.setattr(out, "width", width)
        Path("moma.toml").write_text('threads = 3\ndata = ["a", "b"]')
        code, text, _ = moma("config", "show")
        assert code == 0
        words = text.split()
        assert words.count("threads") == 1
        assert "CPU threads; by default all." in " ".join(words)
        assert "moma.toml" in text
        assert max(map(len, text.splitlines()[:-1])) <= width
        assert "…" not in text
        assert len(text.splitlines()) < 60

    def test_hides_passwords(self, moma, monkeypatch):
        monkeypatch.setenv("MOMA_TRACKING", "https://me:secret@host")
        for arguments in (["config", "show"], ["config", "show", "--json"]):
            _, text, _ = moma("--set", "scheduler=tcp://you:secret@host:1", *arguments)
            assert "https://me:***@host" in text
            assert "secret" not in text

    def test_lists_the_files_that_are_looked_for(self, moma, tmp_path):
        Path("moma.toml").touch()
        _, text, _ = moma("config", "show", "--json")
        files = json.loads(text)["files"]
        assert files == [
            {"path": str(user_config_file()), "exists": False},
            {"path": str(tmp_path / "work" / "moma.toml"), "exists": True},
        ]


class TestRootOptions:
    def test_flags_end_with_their_command(self, moma):
        shown(moma, "--set", "threads=2")
        assert get_settings().threads is None
        moma("--set", "threads=2", "tasks", "show", "no-such-task")
        assert get_settings().threads is None

    def test_config_names_the_only_file(self, moma, tmp_path):
        Path("moma.toml").write_text("threads = 3")
        other = tmp_path / "other.toml"
        other.write_text("workers = 4")
        settings = shown(moma, "--config", other)
        assert (settings["threads"]["value"], settings["workers"]["value"]) == (None, 4)
        assert settings["workers"]["origin"] == f"file {other}"

    def test_a_value_may_hold_an_equals_sign(self, moma):
        uri = "postgresql://host/db?options=a=b"
        assert shown(moma, "--set", f"tracking={uri}")["tracking"]["value"] == uri

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["--set", "device"], 2, "KEY=VALUE"),
            (["--set", "devise=cpu"], 1, "did you mean device"),
            (["--set", "device=gpu"], 1, "--set device cannot be 'gpu'"),
            (["--config", "none.toml"], 1, "none.toml, which --config names"),
        ],
    )
    def test_wrong_ones_stop_the_command(self, moma, arguments, code, words):
        found, text, complaint = moma(*arguments, "tasks", "list")
        assert (found, text) == (code, "")
        assert words in " ".join(complaint.replace("│", " ").split())
        assert get_settings().device == "auto"


class TestInit:
    def test_writes_a_file_that_sets_nothing(self, moma):
        code, text, _ = moma("config", "init")
        path = Path.cwd() / "moma.toml"
        assert code == 0
        assert str(path) in text
        assert tomllib.loads(path.read_text()) == {}
        assert [p.name for p in Path.cwd().iterdir()] == ["moma.toml"]
        assert shown(moma)["device"]["origin"] == "default"

    def test_keeps_a_file_unless_told_otherwise(self, moma):
        path = Path("moma.toml")
        path.write_text("threads = 3")
        code, _, complaint = moma("config", "init")
        assert code == 1
        assert "--overwrite" in complaint
        assert path.read_text() == "threads = 3"
        assert moma("config", "init", "--overwrite")[0] == 0
        assert tomllib.loads(path.read_text()) == {}

    def test_mends_a_broken_file(self, moma):
        Path("moma.toml").write_text("threads =")
        assert moma("config", "show")[0] == 1
        assert moma("config", "init", "--overwrite")[0] == 0
        assert moma("config", "show")[0] == 0

    def test_of_the_user(self, moma):
        assert moma("config", "init", "--user")[0] == 0
        assert user_config_file().is_file()
        assert list(Path.cwd().iterdir()) == []

    def test_where_nothing_can_be_written(self, moma, tmp_path):
        (tmp_path / "user").write_text("a file where a folder must be")
        code, _, complaint = moma("config", "init", "--user")
        assert code == 1
        assert "cannot be written" in complaint


class TestDoctor:
    def test_of_a_sound_installation(self, moma, tmp_path):
        code, text, complaint = moma("--set", f"home={tmp_path / 'home'}", "doctor", "--json")
        answer = json.loads(text)
        problems = [f for f in answer["findings"] if f["state"] == "problem"]
        assert (code, problems) == (0, []), complaint
        names = {finding["name"] for finding in answer["findings"]}
        assert {
            "python",
            "torch",
            "CPU",
            "memory",
            "disk",
            "home",
            "hub",
            "tracking store",
            "scheduler",
        } <= names

    def test_a_broken_configuration_is_told_and_the_rest_is_still_checked(self, moma):
        Path("moma.toml").write_text("treads = 1")
        code, text, complaint = moma("doctor")
        assert code == 1
        assert complaint == ""
        assert "did you mean threads" in text
        assert "→ Correct this first" in text
        assert "scheduler" in text
        assert text.splitlines()[-1].startswith("1 problem and ")
