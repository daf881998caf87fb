"""Quick runs do not wait behind long ones: real local workers, and the rules by which runs are placed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time

import psutil
import pytest

from moma_app.errors import InputError
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.placing import demands, demands_of_piece, is_quick_worker, may_overtake, refuse_unmet
from moma_app.jobs.service import find_service, stop_service
from moma_app.jobs.spec import Needs, RunSpec
from moma_app.tasks import get_task
from moma_app.work.compose import compose_spec
from moma_app.work.composing import AMC

QUICK = Needs(quick=True)


@pytest.fixture
def own(home, units, monkeypatch):
    """The job layer on local workers of the test's own."""
    monkeypatch.setenv("MOMA_ENGINE", "local")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with Jobs() as jobs:
        yield jobs
        if (service := find_service(jobs.settings)) is not None:
            stop_service(service)
            started = [*service.processes, *([service.quick] if service.quick else [])]
            assert not any(process.lives() for process in started)


def quick(spec: RunSpec) -> RunSpec:
    return dataclasses.replace(spec, needs=QUICK)


def begun(jobs: Jobs, run_id: str):
    deadline = time.monotonic() + 60
    while jobs.store.get(run_id).state != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return jobs.store.get(run_id)


def test_a_quick_run_overtakes_a_long_one_and_a_long_one_does_not(own, nap):
    assert own.run(quick(nap(1))).state == "finished"
    assert find_service(own.settings).quick is None, "a worker without work takes quick runs too"
    long = own.submit(nap(3000, pause=0.05))
    waiting = own.submit(nap(1))
    main = begun(own, long).worker
    first, second = (own.submit(quick(nap(2))) for _ in range(2))
    for run_id in (first, second):
        assert own.wait(run_id).state == "finished"
        assert own.record(run_id).worker != main
    assert own.record(long).state == "running"
    assert own.record(waiting).state == "queued"
    workers = {w["name"]: w["resources"] for w in own.cluster.workers().values()}
    assert set(workers) == {"local-0", "local-quick"}
    assert is_quick_worker(workers["local-quick"])
    assert not is_quick_worker(workers["local-0"])
    listed = subprocess.run(
        [sys.executable, "-m", "moma_app", "workers", "status"], capture_output=True, text=True, check=True
    )
    assert "quick runs" in listed.stdout
    own.cancel(long)
    assert own.wait(waiting).state == "finished"
    assert own.record(waiting).worker == main


def test_a_quick_worker_that_died_is_started_anew_and_does_no_pieces(own, nap):
    long = own.submit(nap(3000, pause=0.05))
    begun(own, long)
    own.run(quick(nap(1)))
    nanny = psutil.Process(find_service(own.settings).quick.pid)
    for process in (nanny, *nanny.children(recursive=True)):
        process.kill()
    psutil.wait_procs([nanny], timeout=10)
    pieces = own.run(quick(RunSpec("test-many", {"pieces": 6})))
    assert pieces.result["values"] == [number**2 for number in range(6)]
    assert pieces.result["pids"] == [own.record(pieces.run_id).process.pid]
    own.cancel(long)
    again = own.run(RunSpec("test-many", {"pieces": 6}))
    assert again.result["pids"] == [own.record(again.run_id).process.pid], "nor of others' runs"


def test_which_runs_are_quick():
    task = get_task("elemental_bulk_modulus")
    spec = compose_spec(task, amc=AMC("builtin"))
    assert may_overtake(spec.needs)
    assert RunSpec.from_dict(spec.to_dict()).needs == spec.needs
    assert not may_overtake(compose_spec(task, amc=AMC("builtin"), device="cuda").needs)
    assert spec.digest == dataclasses.replace(spec, needs=Needs()).digest, "where it runs decides no number"


@pytest.mark.parametrize(
    ("needs", "here", "elsewhere"),
    [
        (Needs(), {"MAIN": 1}, {}),
        (QUICK, {"QUICK": 1}, {}),
        (Needs(quick=True, gpus=1), {"GPU": 1, "MAIN": 1}, {"GPU": 1}),
        (Needs(quick=True, memory_gb=8), {"MEMORY": 8, "MAIN": 1}, {"MEMORY": 8}),
        (Needs(quick=True, processes=2), {"MAIN": 1}, {}),
    ],
    ids=str,
)
def test_what_a_run_demands_of_local_workers_and_of_others(needs, here, elsewhere):
    assert demands(needs, local=True) == here
    assert demands(needs, local=False) == elsewhere


def test_pieces_go_where_their_run_is_at_home():
    assert demands_of_piece(QUICK, {"MAIN": 1000, "QUICK": 1000}) == {"MAIN": 1}
    assert demands_of_piece(Needs(memory_gb=2), {"MEMORY": 8}) == {"MEMORY": 2}


def test_the_quick_worker_does_not_count_when_a_need_is_checked():
    main, light = {"MEMORY": 8.0, "MAIN": 1000.0, "QUICK": 1000.0}, {"QUICK": 1000.0}
    refuse_unmet(Needs(memory_gb=8), [main, light], "here")
    with pytest.raises(InputError, match=r"No worker of here offers MEMORY=9 \(the most is 8\)"):
        refuse_unmet(Needs(memory_gb=9), [main, light], "here")
    refuse_unmet(Needs(memory_gb=9), [light], "here")  # the main worker is still to come
