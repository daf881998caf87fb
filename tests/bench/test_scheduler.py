"""The simulation of a large composition's futures, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moma_app.bench import simulation
from moma_app.bench.cluster import cluster
from moma_app.bench.everything import Extras, measure
from moma_app.bench.futures import encode, encode_bundle, join
from moma_app.bench.result import Machine, Report
from moma_app.bench.run import Conduct
from moma_app.bench.scaling import CHUNK
from moma_app.bench.scaling_table import lines, tables
from moma_app.bench.session import PATIENCE
from moma_app.bench.simulation import WAYS, check_packages, simulate
from moma_app.bench.sizes import Sizes
from moma_app.errors import InputError, MissingDependencyError, MomaError

BUSY = 6
"""Seconds after which many futures are on their way."""
SMALL = Sizes(modules=12, rows=25 * CHUNK, workers=2)
"""300 pieces of work."""


def test_every_way_does_all_of_the_work():
    pytest.importorskip("distributed")
    events = []
    found = simulate(SMALL, progress=events.append)
    assert [run.way for run in found] == list(WAYS.values())
    for run in found:
        assert run.tasks == 300
        assert 0 < run.first < run.seconds
        assert 0 < run.sent < run.seconds
        assert run.scheduler_mb > run.scheduler_work_mb >= 0
        assert run.scheduler_cpu > 0
    *others, bundled = found
    assert {run.futures for run in others} == {12 * 25 + 12 + 1}
    assert bundled.futures == 12 * 3 + 12 + 1
    assert events[-1].fraction == 1
    report = Report(Machine("", 2, 2, None, None, {}, {}), 1, flush_reference=False, submissions=tuple(found))
    (table,) = tables(report)
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(lines(report)) == 2


def test_a_bundle_is_its_chunks():
    parts = [encode("m", chunk) for chunk in ("a", "b")]
    assert len({part.path for part in parts}) == 2
    assert join(parts)[::2] == encode_bundle("m", ["a", "b"])[::2]
    assert join(parts).units == 2


def test_what_cannot_be_simulated_is_said_before_anything_starts(monkeypatch):
    with pytest.raises(InputError, match=r"^10,000,000 tasks are more than .* fewer --modules or --rows\.$"):
        simulate(Sizes(modules=1000, rows=10_000 * CHUNK, workers=1))
    monkeypatch.setattr(simulation, "find_spec", lambda _: None)
    with pytest.raises(
        MissingDependencyError, match=r"^The benchmark scheduler needs the package 'distributed'"
    ):
        measure([], Extras(futures=SMALL), Conduct())
    with pytest.raises(MissingDependencyError, match="scaling needs"):
        check_packages(["scaling"])


def test_processes_end_with_the_block_also_after_an_error(tmp_path):
    pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    before = set(psutil.Process().children())
    started = []

    def fail() -> None:
        with cluster(1, tmp_path) as running:
            started.extend(process for process in psutil.Process().children() if process not in before)
            raise RuntimeError(running.address)

    with pytest.raises(RuntimeError, match=r"^tcp://127\.0\.0\.1:"):
        fail()
    assert len(started) == 2
    assert not any(process.is_running() for process in started)


def test_a_scheduler_that_does_not_start_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with (
        pytest.raises(MomaError, match=r"^Dask's scheduler does not start: it said nothing$"),
        cluster(1, tmp_path),
    ):
        pass


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system does not list child processes")
def test_interrupting_ends_the_scheduler_and_the_workers():
    """The signal reaches the leader alone, amid the futures; the cluster is two processes further down."""
    pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    code = (
        "from moma_app.bench.simulation import simulate, USUAL\n"
        "try:\n    simulate(USUAL, ('map_',))\nexcept KeyboardInterrupt:\n    raise SystemExit(130)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    leader, deadline = psutil.Process(process.pid), time.monotonic() + 60
    while len(family := leader.children(recursive=True)) < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(BUSY)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 130
    assert len(family) == 4  # the client, the scheduler, two workers
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
