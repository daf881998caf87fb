"""Settings: defaults, files, environment, flags, overrides; what cannot be used is named, and where."""

from __future__ import annotations

import json
import os
import sys
import threading
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from moma_app.config import (
    Settings,
    config_files,
    explain_settings,
    file_template,
    get_settings,
    override,
    set_flags,
    settings_as_dict,
    settings_environment,
    source_of,
    user_config_file,
)
from moma_app.errors import InputError, UnknownNameError
from moma_app.native.build import kernels


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No variables, no flags, and empty folders where configuration files are looked for."""
    for name in list(os.environ):
        if name.startswith("MOMA_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user" / "config"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    yield monkeypatch.setenv
    set_flags()


@pytest.fixture
def user_file():
    """Write the user's own file."""

    def write(text: str) -> Path:
        path = user_config_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def local_file():
    """Write the file of the working directory."""

    def write(text: str) -> Path:
        path = Path.cwd() / "moma.toml"
        path.write_text(text)
        return path

    return write


class TestDefaults:
    def test_of_folders(self, environment, tmp_path):
        environment("XDG_CACHE_HOME", str(tmp_path))
        settings = get_settings()
        assert settings.home == tmp_path / "moma"
        assert settings.data == ()
        assert settings.hub_folder == settings.home / "hub"
        assert settings.graph_folder == settings.home / "graphs"
        assert settings.runs_folder == settings.home / "runs"
        assert settings.data_folders == (settings.cache_folder,) == (settings.home / "data",)
        assert settings.tracking_uri == f"sqlite:///{tmp_path}/moma/runs.db"

    def test_of_work(self):
        settings = get_settings()
        assert (settings.device, settings.threads, settings.workers) == ("auto", None, None)
        assert (settings.engine, settings.scheduler, settings.tracking) == ("local", None, None)
        assert (settings.idle_minutes, settings.log_level) == (10, "info")

    def test_reading_makes_no_folder(self, environment, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        environment("MOMA_HOME", str(tmp_path / "home"))
        get_settings()
        assert sorted(tmp_path.rglob("*")) == before

    def test_settings_do_not_change_and_have_no_unknown_field(self):
        settings = get_settings()
        with pytest.raises(ValidationError):
            settings.device = "cpu"
        with pytest.raises(ValidationError, match="colour"):
            Settings(colour="red")


class TestEnvironment:
    def test_comes_before_defaults(self, environment):
        environment("MOMA_HOME", "/scratch/moma")
        environment("MOMA_DATA", os.pathsep.join(["/data/one", "", "/data/two"]))
        environment("MOMA_DEVICE", "cpu")
        environment("MOMA_THREADS", "3")
        environment("MOMA_IDLE_MINUTES", "0.5")
        settings = get_settings()
        assert settings.hub_folder == Path("/scratch/moma/hub")
        assert settings.data_folders == (Path("/data/one"), Path("/data/two"), Path("/scratch/moma/data"))
        assert (settings.device, settings.threads, settings.idle_minutes) == ("cpu", 3, 0.5)
        environment("MOMA_HUB", "/group/hub")
        assert get_settings().hub_folder == Path("/group/hub")

    def test_arguments_come_before_it(self, environment):
        environment("MOMA_HOME", "/scratch/moma")
        environment("MOMA_DEVICE", "cuda")
        assert Settings(home=Path("/else")).home == Path("/else")
        assert Settings(home=Path("/else")).device == "cuda"

    def test_a_change_is_seen_and_what_stays_is_read_once(self, environment, monkeypatch):
        environment("MOMA_HOME", "/one")
        first = get_settings()
        assert get_settings() is first
        environment("SOMETHING_ELSE", "x")
        assert get_settings() is first
        environment("MOMA_HOME", "/two")
        assert get_settings().home == Path("/two")
        environment("MOMA_HOME", "/one")
        assert get_settings() == first
        monkeypatch.delenv("MOMA_HOME")
        assert get_settings().home not in (Path("/one"), Path("/two"))

    def test_a_changed_cache_folder_is_seen(self, environment, tmp_path):
        for name in ("a", "b"):
            environment("XDG_CACHE_HOME", str(tmp_path / name))
            environment("HOME", str(tmp_path / name))
            assert tmp_path / name in get_settings().home.parents

    @pytest.mark.parametrize("key", Settings.model_fields)
    def test_an_empty_variable_is_as_good_as_none(self, environment, key):
        without = get_settings()
        environment(f"MOMA_{key.upper()}", "")
        assert get_settings() == without

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("DEVICE", "gpu", r"MOMA_DEVICE cannot be 'gpu': .*'auto', 'cpu', 'cuda' or 'mps'\.$"),
            ("THREADS", "many", r"MOMA_THREADS cannot be 'many': .*valid integer"),
            ("THREADS", "0", r"MOMA_THREADS cannot be '0': .*greater than or equal to 1"),
            ("IDLE_MINUTES", "0", r"MOMA_IDLE_MINUTES cannot be '0': .*greater than 0"),
            ("IDLE_MINUTES", "inf", r"MOMA_IDLE_MINUTES cannot be 'inf': .*finite"),
            ("HOME", "~nobody-of-that-name/x", "MOMA_HOME cannot be '~nobody.*no such user"),
        ],
    )
    def test_a_value_that_cannot_be_used_is_named_in_one_sentence(self, environment, name, value, words):
        environment(f"MOMA_{name}", value)
        with pytest.raises(InputError, match=words) as caught:
            get_settings()
        assert "\n" not in str(caught.value)

    def test_an_unknown_variable_is_an_error_with_the_closest_name(self, environment):
        environment("MOMA_DEVISE", "cpu")
        with pytest.raises(UnknownNameError, match=r"'devise': did you mean device.*MOMA_DEVISE"):
            get_settings()
        environment("MOMA_DEVISE", "")
        get_settings()

    def test_mlflows_own_variable_counts_and_ours_is_stronger(self, environment):
        environment("MLFLOW_TRACKING_URI", "http://theirs:5000")
        assert get_settings().tracking_uri == "http://theirs:5000"
        assert source_of("tracking") == "environment MLFLOW_TRACKING_URI"
        environment("MOMA_TRACKING", "http://ours:5000")
        assert get_settings().tracking_uri == "http://ours:5000"
        assert source_of("tracking") == "environment MOMA_TRACKING"


class TestPlaces:
    def test_the_users_home_is_understood(self, environment, tmp_path):
        environment("HOME", str(tmp_path))
        environment("MOMA_HOME", "~/moma")
        environment("MOMA_HUB", "~/hub")
        environment("MOMA_DATA", f"~/one{os.pathsep}/two")
        settings = get_settings()
        assert settings.home == tmp_path / "moma"
        assert settings.hub_folder == tmp_path / "hub"
        assert settings.data == (tmp_path / "one", Path("/two"))

    def test_relative_paths_are_made_absolute_in_the_working_directory_of_the_moment(
        self, environment, tmp_path, monkeypatch
    ):
        environment("MOMA_HOME", "here")
        assert get_settings().home == tmp_path / "work" / "here"
        monkeypatch.chdir(tmp_path)
        assert get_settings().home == tmp_path / "here"
        assert Settings(home=Path("there")).home == tmp_path / "there"

    def test_a_deleted_working_directory_matters_to_relative_paths_only(self, environment, tmp_path):
        (tmp_path / "gone").mkdir()
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        environment("MOMA_HOME", "/somewhere")
        assert get_settings().home == Path("/somewhere")
        environment("MOMA_HOME", "somewhere")
        with pytest.raises(InputError, match=r"MOMA_HOME cannot be 'somewhere'.*no longer exists"):
            get_settings()

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("http://host:5000", "http://host:5000"),
            ("sqlite:///runs.db", "sqlite:///{cwd}/runs.db"),
            ("sqlite:////abs/runs.db?timeout=3", "sqlite:////abs/runs.db?timeout=3"),
            ("sqlite:///:memory:", "sqlite:///:memory:"),
            ("mlruns", "{cwd}/mlruns"),
            ("file:///abs/mlruns", "file:///abs/mlruns"),
            ("databricks", "databricks"),
        ],
    )
    def test_of_the_tracking_store(self, environment, given, meant):
        environment("MOMA_TRACKING", given)
        assert get_settings().tracking_uri == meant.format(cwd=Path.cwd())

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("tcp://host:8786", "tcp://host:8786"),
            ("host.domain:8786", "tcp://host.domain:8786"),
            ("[::1]:8786", "tcp://[::1]:8786"),
            ("cluster/scheduler.json", "{cwd}/cluster/scheduler.json"),
        ],
    )
    def test_of_the_scheduler(self, environment, given, meant):
        environment("MOMA_SCHEDULER", given)
        assert get_settings().scheduler == meant.format(cwd=Path.cwd())


class TestFiles:
    def test_the_environment_is_stronger_than_the_local_file_and_that_than_the_users(
        self, environment, user_file, local_file
    ):
        user = user_file('device = "cpu"\nthreads = 2\nworkers = 3\n')
        assert (get_settings().device, get_settings().threads) == ("cpu", 2)
        local = local_file("threads = 5\nworkers = 4\n")
        environment("MOMA_WORKERS", "6")
        settings = get_settings()
        assert (settings.device, settings.threads, settings.workers) == ("cpu", 5, 6)
        assert source_of("device") == f"file {user}"
        assert source_of("threads") == f"file {local}"
        assert source_of("workers") == "environment MOMA_WORKERS"
        assert source_of("kernel") == "default"
        assert [file.path for file in config_files()] == [user, local]

    def test_a_changed_file_is_seen(self, local_file):
        path = local_file("threads = 1")
        assert get_settings().threads == 1
        local_file("threads = 12")
        assert get_settings().threads == 12
        path.unlink()
        assert get_settings().threads is None

    def test_moma_config_names_the_only_one(self, environment, tmp_path, user_file, local_file):
        user_file("threads = 1")
        local_file("threads = 2")
        (tmp_path / "other.toml").write_text("workers = 3")
        environment("MOMA_CONFIG", "../other.toml")
        assert (get_settings().threads, get_settings().workers) == (None, 3)
        environment("MOMA_CONFIG", "/no/such.toml")
        with pytest.raises(
            InputError, match=r"no configuration file /no/such\.toml, which MOMA_CONFIG names"
        ):
            get_settings()

    def test_paths_are_relative_to_the_files_folder(self, environment, user_file, tmp_path):
        folder = user_file(
            'home = "moma"\nhub = "~/hub"\ndata = ["one", "/two"]\n'
            'scheduler = "s.json"\ntracking = "sqlite:///t.db"\n'
        ).parent
        settings = get_settings()
        assert settings.home == folder / "moma"
        assert settings.hub == tmp_path / "user" / "hub"
        assert settings.data == (folder / "one", Path("/two"))
        assert settings.scheduler == str(folder / "s.json")
        assert settings.tracking == f"sqlite:///{folder}/t.db"
        assert Settings(device="cpu").home == folder / "moma"

    def test_an_empty_text_sets_back_to_the_default(self, user_file, local_file):
        user_file('scheduler = "tcp://host:1"\nhub = "/hub"')
        local = local_file('scheduler = ""\nhub = ""')
        assert (get_settings().scheduler, get_settings().hub) == (None, None)
        assert source_of("hub") == f"file {local}"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("\ntreads = 3", r"'treads': did you mean threads\? See line 2 of {path}\."),
            ("[fit]\nepochs = 3", r"'fit': .* See line 1 of {path}\."),
            ("a.b = 3", r"'a': .* See line 1 of {path}\."),
            ('threads = 1\ndevice = "gpu"', r"device in {path}, line 2, cannot be 'gpu': .*'auto'"),
            ("threads = 1.5", r"threads in {path}, line 1, cannot be 1\.5: .*integer"),
            ("threads = true", r"threads in {path}, line 1, cannot be True: .*number"),
            ("home = 5", r"home in {path}, line 1, cannot be 5: .*path"),
            ("data = [1]", r"data in {path}, line 1, cannot be \[1\]: .*path"),
            ("tracking = 5", r"tracking in {path}, line 1, cannot be 5: .*string"),
            ("device = cpu", r"{path} is not valid TOML: .*line 1"),
        ],
    )
    def test_what_is_wrong_is_named_with_file_key_and_line(self, local_file, text, words):
        path = local_file(text)
        with pytest.raises(InputError, match=words.format(path=path)) as caught:
            get_settings()
        assert "\n" not in str(caught.value)

    def test_a_file_that_is_no_text_or_no_file(self, local_file):
        path = local_file("")
        path.write_bytes(b'home = "\xff"')
        with pytest.raises(InputError, match="no text in UTF-8"):
            get_settings()
        path.unlink()
        path.mkdir()
        with pytest.raises(InputError, match=f"{path} cannot be read"):
            get_settings()


class TestFlags:
    def test_are_stronger_than_the_environment_and_last(self, environment, local_file):
        environment("MOMA_DEVICE", "cuda")
        environment("MOMA_THREADS", "4")
        local_file("workers = 2")
        set_flags({"device": "cpu", "threads": ""})
        assert (get_settings().device, get_settings().threads, get_settings().workers) == ("cpu", None, 2)
        assert source_of("device") == "flag --set device=cpu"
        set_flags()
        assert (get_settings().device, get_settings().threads) == ("cuda", 4)

    def test_hide_a_value_that_cannot_be_used(self, environment):
        environment("MOMA_DEVICE", "gpu")
        set_flags({"device": "cpu"})
        assert get_settings().device == "cpu"

    def test_a_file_named_by_a_flag_is_the_only_one(self, environment, tmp_path, local_file):
        local_file("threads = 1")
        (tmp_path / "flag.toml").write_text("workers = 1")
        (tmp_path / "variable.toml").write_text("workers = 2")
        environment("MOMA_CONFIG", str(tmp_path / "variable.toml"))
        set_flags(config=tmp_path / "flag.toml")
        assert (get_settings().threads, get_settings().workers) == (None, 1)

    def test_wrong_ones_change_nothing(self, tmp_path):
        set_flags({"device": "cpu"})
        with pytest.raises(UnknownNameError, match="did you mean device"):
            set_flags({"devise": "cpu"})
        with pytest.raises(InputError, match="--set device cannot be 'gpu'"):
            set_flags({"device": "gpu"})
        with pytest.raises(InputError, match=r"none\.toml, which --config names"):
            set_flags(config=tmp_path / "none.toml")
        assert get_settings().device == "cpu"


class TestOverride:
    def test_is_the_strongest_nests_and_ends_with_its_block(self, environment):
        environment("MOMA_DEVICE", "cuda")
        set_flags({"device": "mps"})
        with override({"device": "cpu", "threads": 2}) as settings:
            assert settings == get_settings()
            assert (settings.device, settings.threads) == ("cpu", 2)
            assert source_of("device") == "override"
            with override({"threads": 3}):
                assert (get_settings().device, get_settings().threads) == ("cpu", 3)
            assert get_settings().threads == 2
        assert get_settings().device == "mps"

    def test_ends_when_the_block_fails(self):
        with pytest.raises(RuntimeError), override({"threads": 2}):
            raise RuntimeError
        assert get_settings().threads is None

    def test_is_seen_by_other_threads_and_blocks_may_overlap(self):
        entered, leave = threading.Event(), threading.Event()

        def work():
            with override({"threads": 7, "workers": 8}):
                entered.set()
                assert leave.wait(10)

        other = threading.Thread(target=work)
        with override({"threads": 2}):
            other.start()
            assert entered.wait(10)
            assert (get_settings().threads, get_settings().workers) == (7, 8)  # entered last
        assert get_settings().threads == 7
        leave.set()
        other.join(10)
        assert (get_settings().threads, get_settings().workers) == (None, None)

    def test_many_threads_at_once_leave_nothing_behind(self):
        before = get_settings()

        def work(number):
            for _ in range(100):
                with override({"threads": number}):
                    assert get_settings().threads in range(1, 9)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        finally:
            sys.setswitchinterval(interval)
        assert get_settings() == before

    def test_wrong_values_change_nothing(self):
        with pytest.raises(UnknownNameError, match="did you mean threads"), override({"treads": 1}):
            pass
        with pytest.raises(InputError, match="The setting threads cannot be 0"), override({"threads": 0}):
            pass
        assert get_settings().threads is None

    def test_takes_all_settings_of_another_process(self, environment, local_file):
        local_file('home = "h"\ndata = ["a", "b"]\ntracking = "sqlite:///t.db"\nidle_minutes = 2')
        there = get_settings()
        text = json.dumps(settings_as_dict())
        Path("moma.toml").unlink()
        environment("MOMA_THREADS", "9")
        assert get_settings() != there
        with override(json.loads(text)) as here:
            assert here == there

    def test_a_child_process_gets_them_by_its_environment(self, environment, local_file):
        local_file('home = "h"\ndata = ["a", "b"]\nidle_minutes = 2\nscheduler = "s.json"')
        set_flags({"kernel": "torch"})
        here = get_settings()
        for name, value in settings_environment().items():
            environment(name, value)
        set_flags()
        Path("moma.toml").unlink()
        assert get_settings() == here

    def test_decides_which_kernels_compute(self, environment, tmp_path):
        environment("MOMA_HOME", str(tmp_path / "home"))
        with override({"kernel": "torch"}):
            assert kernels().library is None
            assert not kernels().missing
        with override({"kernel": "native"}):
            assert kernels().library is not None
            assert str(tmp_path / "home") in kernels().about


class TestWords:
    def test_every_setting_is_explained(self, environment, local_file):
        path = local_file("threads = 3")
        environment("MOMA_DEVICE", "cpu")
        explained = {item.key: item for item in explain_settings()}
        assert list(explained) == list(Settings.model_fields)
        assert all(len(item.about) > 10 and item.about.endswith(".") for item in explained.values())
        assert (explained["threads"].value, explained["threads"].origin) == (3, f"file {path}")
        assert (explained["device"].value, explained["device"].origin) == ("cpu", "environment MOMA_DEVICE")
        assert explained["kernel"].origin == "default"
        json.dumps([item.value for item in explained.values()])

    def test_the_origin_of_no_setting(self):
        with pytest.raises(UnknownNameError, match="did you mean device"):
            source_of("devise")

    def test_the_template_sets_nothing_and_each_of_its_lines_can_be_used(self, local_file):
        text = file_template()
        assert tomllib.loads(text) == {}
        default = get_settings()
        lines = [line for line in text.splitlines() if " = " in line]
        assert [line.removeprefix("# ").split(" = ")[0] for line in lines] == list(Settings.model_fields)
        for line in lines:
            local_file(line.removeprefix("# "))
            get_settings()
            key = line.removeprefix("# ").split(" = ")[0]
            usual = getattr(default, key)
            assert usual in (None, ()) or getattr(get_settings(), key) == usual

    def test_the_documentation_has_every_key(self):
        text = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
        keys = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
        assert keys == list(Settings.model_fields)
