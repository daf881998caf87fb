"""The doctor: real damage is found, named and given a remedy; nothing takes the other checks down."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from module_factory import make_module

from moma_app.config import Settings
from moma_app.doctor import (
    Finding,
    examine,
    folders,
    gpu,
    machine,
    packages,
    processor,
    scheduler,
    tracking,
    worst,
)
from moma_app.errors import InputError
from moma_app.hub import Hub
from moma_app.jobs.service import service_folder


@pytest.fixture
def settings(tmp_path):
    """Make settings of a home of their own; no file and no variable is read."""

    def make(**values):
        return Settings.from_values({"home": tmp_path / "home", **values})

    return make


def only(findings):
    (finding,) = findings
    return finding


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def listening():
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestExamine:
    def test_a_check_that_crashes_or_hangs_leaves_the_others_alone(self):
        def crash(_):
            yield Finding("half", "ok", "kept")
            raise ZeroDivisionError("by nothing")

        def refuse(_):
            raise InputError("That cannot be.")

        def hang(_):
            time.sleep(30)
            return []

        def well(_):
            yield Finding("well", "ok", "yes")

        began = time.monotonic()
        checks = [("crash", crash), ("refuse", refuse), ("hang", hang), ("well", well)]
        _, *findings = examine(checks, limit=0.2)
        assert time.monotonic() - began < 5
        half, *findings = findings
        assert half.value == "kept"
        assert [(f.name, f.state) for f in findings] == [
            ("crash", "problem"),
            ("refuse", "problem"),
            ("hang", "problem"),
            ("well", "ok"),
        ]
        assert "ZeroDivisionError: by nothing" in findings[0].value
        assert findings[1].value == "That cannot be."
        assert "within 0.2 s" in findings[2].value
        assert all(f.remedy for f in findings[:3])

    def test_the_gravest_state_counts(self):
        ok, hint, problem = (Finding("", state, "") for state in ("ok", "hint", "problem"))
        assert worst([]) == worst([ok, ok]) == "ok"
        assert worst([hint, ok]) == "hint"
        assert worst([ok, problem, hint]) == "problem"

    def test_the_configuration_comes_first_with_its_sources(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "moma.toml").write_text("threads = 1")
        finding = only(examine([]))
        assert (finding.name, finding.state) == ("configuration", "ok")
        assert finding.value == f"{tmp_path / 'moma.toml'}, environment"
        monkeypatch.setenv("MOMA_THREADS", "none")
        finding = only(examine([]))
        assert finding.state == "problem"
        assert "MOMA_THREADS cannot be 'none'" in finding.value


class TestPackages:
    @pytest.fixture
    def installed(self, tmp_path, monkeypatch):
        """Have the installation of our package ask for something else, as an older or newer one would."""

        def say(*needs):
            folder = tmp_path / "site" / "moma_app-9.0.dist-info"
            folder.mkdir(parents=True)
            lines = ["Metadata-Version: 2.1", "Name: moma-app", "Version: 9.0"]
            (folder / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {n}" for n in needs), ""]))
            monkeypatch.syspath_prepend(str(folder.parent))
            return {finding.name: finding for finding in packages.check()}

        return say

    def test_of_this_environment(self):
        found = {finding.name: finding for finding in packages.check()}
        assert found["python"].state == found["torch"].state == found["moma-app"].state == "ok"
        assert found["torch"].value.startswith("2.")

    def test_missing_and_outdated_ones_are_problems(self, installed):
        found = installed("torch>=99", "no-such-package>=1.5", 'never; sys_platform == "other"')
        assert (found["torch"].state, found["no-such-package"].state) == ("problem", "problem")
        assert ">=99 is needed" in found["torch"].value
        assert found["no-such-package"].remedy == "Run pip install 'no-such-package>=1.5'."
        assert "never" not in found

    def test_an_optional_one_that_is_missing_is_no_problem(self, installed, monkeypatch):
        monkeypatch.setattr(packages, "SHOWN", ("no-such-package",))
        found = installed('no-such-package>=1; extra == "more"')
        assert found["no-such-package"].state == "ok"
        assert "moma-app[more]" in found["no-such-package"].remedy


class TestMachine:
    def test_the_cpu_and_more_threads_than_cores(self, settings):
        assert only(processor.check_cpu(settings(threads=1))).state == "ok"
        crowded = only(processor.check_cpu(settings(threads=10_000)))
        assert crowded.state == "hint"
        assert "MOMA_THREADS=" in crowded.remedy

    def test_the_compiler_and_the_kernels(self, settings):
        assert only(processor.check_compiler(settings())).state == "ok"
        found = only(processor.check_kernels(settings()))
        assert found.state == "ok"
        assert str(settings().home) in found.value
        assert only(processor.check_kernels(settings(kernel="torch"))).state == "ok"

    @pytest.mark.parametrize(("kernel", "state"), [("auto", "hint"), ("native", "problem"), ("torch", "ok")])
    def test_without_a_compiler(self, settings, monkeypatch, tmp_path, kernel, state):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CC", raising=False)
        compiler = only(processor.check_compiler(settings(kernel=kernel)))
        built = only(processor.check_kernels(settings(kernel=kernel)))
        assert (compiler.state, built.state) == (state, state)
        assert bool(compiler.remedy) == bool(built.remedy) == (state != "ok")

    def test_memory_and_disk(self, settings):
        memory = only(machine.check_memory())
        assert "GiB" in memory.value
        disk = only(machine.check_disk(settings()))
        assert "GiB free at" in disk.value
        assert not (settings().home).exists()

    def test_the_limit_of_a_container(self, tmp_path):
        own, root = tmp_path / "own", tmp_path / "cgroup"
        own.write_text("0::/job/step\n")
        (root / "job" / "step").mkdir(parents=True)
        assert machine.memory_limit(own, root) is None
        assert machine.memory_limit(tmp_path / "none", root) is None
        (root / "job" / "step" / "memory.max").write_text("max\n")
        (root / "job" / "memory.max").write_text("1000\n")
        (root / "job" / "memory.current").write_text("900\n")
        (root / "job" / "memory.stat").write_text("anon 5\ninactive_file 300\n")
        assert machine.memory_limit(own, root) == machine.Limit(total=1000, free=400)
        own.write_text("4:cpu,memory:/old\n3:cpu:/x\n")
        (root / "memory" / "old").mkdir(parents=True)
        (root / "memory" / "old" / "memory.limit_in_bytes").write_text("50\n")
        (root / "memory" / "old" / "memory.usage_in_bytes").write_text("60\n")
        assert machine.memory_limit(own, root) == machine.Limit(total=50, free=0)

    def test_a_gpu_that_is_asked_for_must_be_there(self, settings):
        import torch

        if torch.cuda.is_available():
            found = list(gpu.check(settings(device="cuda")))
            assert len(found) == torch.cuda.device_count()
            assert all(f.state == "ok" and "driver" in f.value for f in found)
        else:
            assert only(gpu.check(settings())).state != "problem"
            assert only(gpu.check(settings(device="cuda"))).state == "problem"

    def test_a_driver_without_a_gpu_for_pytorch(self, settings, monkeypatch, tmp_path):
        import torch

        if torch.cuda.is_available():
            pytest.skip("PyTorch can use the GPU of this machine.")
        tool = tmp_path / "nvidia-smi"
        tool.write_text("#!/bin/sh\necho 570.10\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
        found = only(gpu.check(settings()))
        assert found.state == "hint"
        assert "driver 570.10" in found.value
        assert found.remedy


class TestFolders:
    def test_a_home_that_is_there_or_can_be_made(self, settings):
        assert only(folders.check_home(settings())).state == "ok"
        assert not settings().home.exists()
        settings().home.mkdir()
        assert only(folders.check_home(settings())).state == "ok"
        assert list(settings().home.iterdir()) == []

    @pytest.mark.parametrize("place", ["/proc/moma", "{tmp}/file/moma"])
    def test_a_home_that_cannot_be(self, settings, tmp_path, place):
        """Even root cannot make files in /proc."""
        (tmp_path / "file").touch()
        found = only(folders.check_home(settings(home=place.format(tmp=tmp_path))))
        assert found.state == "problem"
        assert "MOMA_HOME" in found.remedy

    def test_data_folders(self, settings, tmp_path):
        good, empty, none = (tmp_path / name for name in ("good", "empty", "none"))
        (good / "tasks").mkdir(parents=True)
        empty.mkdir()
        (good / "tasks" / "mp_phonons.parquet").write_bytes(b"no Parquet")
        found = list(folders.check_data(settings(data=[good, empty, none])))
        by_value = {f.value.removeprefix(f"{tmp_path}/"): f for f in found if f.name == "data folder"}
        assert by_value["good: 1 task"].state == "ok"
        assert by_value["empty: no tasks"].state == "hint"
        assert by_value["none: there is no such folder"].state == "hint"
        damaged = next(f for f in found if f.name == "task mp_phonons")
        assert damaged.state == "problem"
        assert str(good / "tasks" / "mp_phonons.parquet") in damaged.value
        assert next(f for f in found if f.name == "tasks with data").value.startswith("2 of ")

    def test_without_data_there_is_a_hint(self, settings):
        assert worst(folders.check_data(settings())) == "hint"

    def test_a_damaged_module(self, settings):
        hub = Hub(settings().hub_folder)
        for name in ("sound", "bent", "lost"):
            hub.add(make_module(name))
        assert worst(folders.check_hub(settings())) == "ok"
        bent = hub["bent"].path
        content = bytearray(bent.read_bytes())
        content[-1] ^= 1
        bent.write_bytes(content)
        hub["lost"].path.unlink()
        summary, *damaged = folders.check_hub(settings())
        shipped = len(Hub.open("builtin"))
        assert f"{shipped + 3} modules" in summary.value
        assert f"{shipped + 1} sound" in summary.value
        assert [(f.name, f.state) for f in damaged] == [
            ("module bent", "problem"),
            ("module lost", "problem"),
        ]
        assert "moma hub remove bent" in damaged[0].remedy

    def test_a_hub_too_large_to_read_in_time(self, settings):
        found = only(folders.check_hub(settings(), patience=-1))
        assert found.state == "hint"
        assert "the files of 0 were checked" in found.value
        assert "moma hub verify" in found.remedy


class TestTrackingStore:
    @pytest.fixture
    def database(self, settings):
        path = settings().home / "runs.db"
        path.parent.mkdir()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE runs (name TEXT)")
            connection.execute("CREATE INDEX by_name ON runs (name)")
            connection.executemany("INSERT INTO runs VALUES (?)", [(f"run {n}" * 50,) for n in range(500)])
        connection.close()
        return path

    def test_before_the_first_run(self, settings):
        found = only(tracking.check(settings()))
        assert found.state == "ok"
        assert "made with the first run" in found.value
        assert not settings().home.exists()

    def test_a_sound_one(self, settings, database):
        before = database.read_bytes()
        found = only(tracking.check(settings()))
        assert found.state == "ok", found.value
        assert "sound" in found.value
        assert database.read_bytes() == before

    def test_a_damaged_one(self, settings, database):
        content = bytearray(database.read_bytes())
        content[8192:20480] = b"\x00" * 12288
        database.write_bytes(content)
        found = only(tracking.check(settings()))
        assert found.state == "problem"
        assert str(database) in found.value
        assert "\n" not in found.value
        assert "backup" in found.remedy

    def test_one_that_is_no_database(self, settings, database):
        database.write_text("not a database at all" * 100)
        found = only(tracking.check(settings()))
        assert found.state == "problem"
        assert "not a database" in found.value

    def test_one_that_another_process_holds(self, settings, database, monkeypatch):
        monkeypatch.setattr(tracking, "PATIENCE", 0.1)
        holder = sqlite3.connect(database)
        holder.execute("BEGIN EXCLUSIVE")
        try:
            assert only(tracking.check(settings())).state == "hint"
        finally:
            holder.close()

    def test_where_nothing_can_be_written(self, settings):
        found = only(tracking.check(settings(tracking="sqlite:////proc/runs.db")))
        assert found.state == "problem"
        assert "MOMA_TRACKING" in found.remedy
        assert only(tracking.check(settings(tracking="/proc/mlruns"))).state == "problem"
        assert only(tracking.check(settings(tracking="file:///proc/mlruns"))).state == "problem"

    @pytest.mark.parametrize(("status", "state"), [(200, "ok"), (401, "hint"), (503, "problem")])
    def test_a_server_that_answers(self, settings, monkeypatch, status, state):
        monkeypatch.setenv("no_proxy", "*")
        paths = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                paths.append(self.path)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            uri = f"http://127.0.0.1:{server.server_port}/base/"
            found = only(tracking.check(settings(tracking=uri)))
            server.shutdown()
        assert (found.state, paths) == (state, ["/base/health"])
        assert bool(found.remedy) == (state != "ok")

    def test_a_server_that_is_not_there_or_says_nothing(self, settings, monkeypatch, listening):
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(tracking, "PATIENCE", 0.2)
        for port in (free_port(), listening):
            found = only(tracking.check(settings(tracking=f"http://127.0.0.1:{port}")))
            assert found.state == "problem"
            assert "mlflow server" in found.remedy

    def test_a_server_of_another_kind(self, settings, monkeypatch):
        monkeypatch.setenv("no_proxy", "*")
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer():
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"220 smtp at your service\r\n")

            threading.Thread(target=answer, daemon=True).start()
            found = only(tracking.check(settings(tracking=f"http://127.0.0.1:{server.getsockname()[1]}")))
        assert found.state == "problem"
        assert "smtp" in found.value

    def test_passwords_are_not_shown(self, settings):
        found = only(tracking.check(settings(tracking="postgresql://me:secret@host/runs")))
        assert "me:***@host" in found.value


class TestScheduler:
    def test_none_is_needed(self, settings):
        assert only(scheduler.check(settings())).value == "local workers start on first use"
        found = only(scheduler.check(settings(engine="inline", scheduler="tcp://127.0.0.1:1")))
        assert (found.state, "inline" in found.value) == ("ok", True)

    @pytest.mark.parametrize("how", ["address", "file"])
    def test_a_running_and_an_absent_cluster(self, settings, tmp_path, listening, how):
        for port, state in ((listening, "ok"), (free_port(), "problem")):
            where = f"tcp://127.0.0.1:{port}"
            if how == "file":
                (tmp_path / "scheduler.json").write_text(f'{{"type": "Scheduler", "address": "{where}"}}')
                where = str(tmp_path / "scheduler.json")
            found = only(scheduler.check(settings(scheduler=where)))
            assert found.state == state, found.value
            assert bool(found.remedy) == (state == "problem")

    @pytest.mark.parametrize(
        ("content", "words"), [(None, "no scheduler file"), ("[]", "an address"), ("{", "JSON")]
    )
    def test_a_scheduler_file_that_is_none(self, settings, tmp_path, content, words):
        path = tmp_path / "scheduler.json"
        if content is not None:
            path.write_text(content)
        found = only(scheduler.check(settings(scheduler=str(path))))
        assert found.state == "problem"
        assert words in found.value

    @pytest.mark.parametrize("address", ["tcp://host", "tcp://host:port", "tcp://:80"])
    def test_an_address_that_is_none(self, settings, address):
        found = only(scheduler.check(settings(scheduler=address)))
        assert found.state == "problem"
        assert "tcp://host:8786" in found.value

    def test_local_workers_that_run_and_those_that_have_ended(self, settings, listening):
        file = service_folder(settings()) / "scheduler.json"
        file.parent.mkdir(parents=True)
        file.write_text(f'{{"address": "tcp://127.0.0.1:{listening}"}}')
        assert only(scheduler.check(settings())).value == f"local workers at tcp://127.0.0.1:{listening}"
        for content in (f'{{"address": "tcp://127.0.0.1:{free_port()}"}}', "{"):
            file.write_text(content)
            found = only(scheduler.check(settings()))
            assert found.state == "hint"
            assert "next job" in found.remedy
