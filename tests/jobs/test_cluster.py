"""A Dask cluster of separate command-line processes on loopback, with shared and with separate disks."""

from __future__ import annotations

import csv
import dataclasses
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moma_app.amc.result import AMCResult
from moma_app.cli import main
from moma_app.errors import MomaError
from moma_app.hub import Hub
from moma_app.hub.places import BUILTIN
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.spec import Needs, RunSpec
from moma_app.progress import ModuleEncoded, Note
from moma_app.tasks import get_task
from moma_app.work.compose import compose_spec
from moma_app.work.composing import AMC
from moma_app.work.predict import predict_spec
from moma_app.work.publishing import publish

TASK = "elemental_bulk_modulus"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def blindfold(hidden: list[Path]) -> list[str]:
    """Return a command that starts another one in a mount namespace where folders are empty.

    To the process this is another machine's disk; the kernel does it, nothing is patched.
    """
    if not hidden:
        return []
    base = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*base, "true"], check=False).returncode:
        pytest.skip("this system lets no process have mounts of its own (unshare)")
    mounts = " && ".join(f"mount -t tmpfs none {shlex.quote(str(folder))}" for folder in hidden)
    return [*base, "sh", "-c", f'{mounts} && exec "$@"', "sh"]


@pytest.fixture
def start(tmp_path):
    """Start a command; all are killed at the end of the test."""
    started: list[subprocess.Popen] = []

    def run(name: str, *arguments: str, hidden: list[Path] = (), **environment: str) -> subprocess.Popen:
        with (tmp_path / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                [*blindfold(hidden), sys.executable, "-m", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                start_new_session=True,
            )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(start, home, units, monkeypatch):
    """A scheduler, whose address the settings name, and a function that adds workers."""
    port = free_port()
    start("scheduler", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    address = f"tcp://127.0.0.1:{port}"
    monkeypatch.setenv("MOMA_ENGINE", "local")
    monkeypatch.setenv("MOMA_SCHEDULER", address)

    def add(name: str, *arguments: str, hidden: list[Path] = (), **environment: str) -> subprocess.Popen:
        common = ["--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--name", name]
        return start(name, "dask", "worker", address, *common, *arguments, hidden=hidden, **environment)

    return add


def wait_for_workers(jobs: Jobs, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if len(jobs.cluster.workers()) >= count:
                return
        except MomaError:
            time.sleep(0.2)  # the scheduler is still starting
    pytest.fail("the workers did not come")


def test_two_workers_do_the_pieces_of_one_run_and_change_nothing(cluster, monkeypatch):
    cluster("one")
    cluster("two")
    inline = Jobs(engine="inline").run(compose_spec(get_task(TASK), amc=AMC("builtin")))
    with Jobs() as jobs:
        wait_for_workers(jobs, 2)
        many = jobs.run(RunSpec("test-many", {"pieces": 20}))
        assert many.result["values"] == [number**2 for number in range(20)]
        assert len(many.result["pids"]) == 2
        heard = []
        outcome = jobs.run(compose_spec(get_task(TASK), amc=AMC("builtin")), heard.append)
    assert [e.module for e in heard if isinstance(e, ModuleEncoded)]
    here, there = (AMCResult.from_dict(o.result["composition"]) for o in (inline, outcome))
    assert there.weights == here.weights
    assert there.objective == here.objective


def test_pieces_on_other_workers_end_with_their_run(cluster, nap):
    cluster("one")
    cluster("two")
    with Jobs() as jobs:
        wait_for_workers(jobs, 2)
        run_id = jobs.submit(RunSpec("test-many_slow", {"pieces": 4}))
        time.sleep(3)
        started = time.monotonic()
        assert jobs.cancel(run_id).state == "cancelled"
        assert time.monotonic() - started < 10
        both = [jobs.submit(nap(1)), jobs.submit(nap(2))]
        assert [jobs.wait(run).state for run in both] == ["finished", "finished"]
        assert time.monotonic() - started < 30, "no worker is busy with what nobody wants"


def test_chunks_of_structures_on_two_workers_give_the_same_embeddings(cluster):
    cluster("one")
    cluster("two")
    with Jobs() as jobs:
        wait_for_workers(jobs, 2)
        spec = RunSpec("test-spread", {"chunk": 20})
        outcome = jobs.run(spec)
    assert outcome.state == "finished", outcome.message
    assert outcome.result["largest_difference"] < 1e-5
    assert outcome.result["pieces"] == 3  # chunks of 20, 20 and 9 structures, four modules in one pass


def test_needs_are_met_by_workers_that_offer_them(cluster, nap):
    cluster("small")
    cluster("large", "--resources", "GPU=2 MEMORY=64")
    with Jobs() as jobs:
        wait_for_workers(jobs, 2)
        for _ in range(3):
            outcome = jobs.run(dataclasses.replace(nap(1), needs=Needs(gpus=2, memory_gb=32)))
            worker = jobs.cluster.workers()[jobs.record(outcome.run_id).worker]
            assert worker["name"] == "large"
        with pytest.raises(MomaError, match="offers GPU=4"):
            jobs.submit(dataclasses.replace(nap(1), needs=Needs(gpus=4)))


def test_no_scheduler_at_the_address_is_one_sentence(home, units, nap, monkeypatch):
    monkeypatch.setenv("MOMA_ENGINE", "local")
    monkeypatch.setenv("MOMA_SCHEDULER", f"tcp://127.0.0.1:{free_port()}")
    monkeypatch.setattr("moma_app.jobs.cluster.CONNECT_LIMIT", 2)
    with Jobs() as jobs, pytest.raises(MomaError, match="No Dask scheduler answers"):
        jobs.submit(nap(1))
    assert jobs.store.runs()[0].state == "failed"


@pytest.fixture
def server(start, tmp_path, monkeypatch):
    """An MLflow tracking server, a process of its own that both sides reach."""
    port = free_port()
    where = tmp_path / "server"
    where.mkdir()
    start(
        "mlflow",
        *("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *(
            "--backend-store-uri",
            f"sqlite:///{where}/runs.db",
            "--artifacts-destination",
            str(where / "files"),
        ),
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.3)
        else:
            return f"http://127.0.0.1:{port}"
    pytest.fail("the tracking server did not start")


def own_task(folder: Path) -> str:
    """Import a task of the user's own into the cache of the present home."""
    data = get_task(TASK).load()
    folder.mkdir()
    with (folder / "table.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["material_id", "structure", "target"])
        for row in range(24):
            structure = data.structures[row].to_pymatgen()
            table.writerow([f"m{row}", structure.to(fmt="cif"), data.targets[row]])
    with pytest.raises(SystemExit) as stop:
        main(["tasks", "import", str(folder / "table.csv"), "--name", "mine", "--unit", "log10(GPa)"])
    assert not stop.value.code
    return "mine"


@pytest.mark.usefixtures("server")
def test_a_worker_with_a_disk_of_its_own_gets_files_and_gives_results_back(cluster, tmp_path, nap):
    """Own task and own hub are carried by content; events come through Dask, results through the server."""
    elsewhere = tmp_path / "elsewhere"
    task = own_task(tmp_path / "mine")
    hub = Hub(tmp_path / "hub")
    for name in ("mp_kvrh", "mp_gvrh"):
        hub.add(Hub(BUILTIN)[name])
    cluster("far", hidden=[tmp_path / "home", tmp_path / "hub", tmp_path / "mine"], MOMA_HOME=str(elsewhere))
    with Jobs() as jobs:
        wait_for_workers(jobs, 1)
        spec = compose_spec(
            get_task(task), amc=AMC(str(tmp_path / "hub")), instant=True, output=tmp_path / "predictor"
        )
        heard = []
        outcome = jobs.run(spec, heard.append)
        assert outcome.state == "finished", outcome.message
        assert outcome.result["published"] is None
        publish(jobs.store, spec, outcome)
        record = jobs.record(outcome.run_id)
        assert record.channel == "dask"
        assert [e.module for e in heard if isinstance(e, ModuleEncoded)] == ["mp_gvrh", "mp_kvrh"]
        late = [entry.event for entry in jobs.watch(outcome.run_id)]
        assert late == [event for event in heard if getattr(event, "state", "") != "queued"]
        cif = tmp_path / "mine" / "my salt.cif"
        cif.write_text(get_task(TASK).load().structures[3].to_pymatgen().to(fmt="cif"))
        predicted = jobs.run(predict_spec([cif], run=outcome.run_id)).result["rows"]
        assert [(row["file"], row["std"] > 0) for row in predicted] == [("my salt.cif", True)]
        by_hub = jobs.run(predict_spec([cif], hub=str(tmp_path / "hub"))).result["rows"]
        assert [row["module"] for row in by_hub] == ["mp_gvrh", "mp_kvrh"]
        assert not list(elsewhere.rglob("*salt*")), "the user's names are no paths there"
        numbers = jobs.run(nap(30))
        notes = [e.event.message for e in jobs.watch(numbers.run_id) if isinstance(e.event, Note)]
        assert notes == [f"nap {number}" for number in range(30)]
        slow = jobs.submit(nap(400, pause=0.05))
        while jobs.store.get(slow).state != "running":
            time.sleep(0.1)
        assert jobs.cancel(slow).state == "cancelled"
    assert (tmp_path / "predictor" / "predictor.json").is_file()
    assert set(outcome.result["composition"]["modules"][0]) >= {"module", "weight"}
    assert (elsewhere / "runs" / outcome.run_id / "log.jsonl").is_file()
    assert len(list((elsewhere / "blobs").iterdir())) >= 5


def test_a_worker_that_lacks_data_or_store_says_so_in_a_sentence(cluster, tmp_path):
    (tmp_path / "home").mkdir()
    cluster("far", hidden=[tmp_path / "home"], MOMA_HOME=str(tmp_path / "elsewhere"))
    with Jobs() as jobs:
        wait_for_workers(jobs, 1)
        outcome = jobs.run(RunSpec("test-where"))
        assert outcome.state == "failed"
        assert "MLFLOW_TRACKING_URI" in outcome.message
