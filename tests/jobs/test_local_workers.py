"""Runs on local workers: real scheduler and worker processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from moma_app.config import get_settings
from moma_app.errors import InputError, MomaError
from moma_app.jobs.cluster import Cluster
from moma_app.jobs.execute import execute
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.listing import list_runs
from moma_app.jobs.order import Order
from moma_app.jobs.service import ensure_service, find_service, stop_service
from moma_app.jobs.spec import Needs, RunSpec
from moma_app.progress import Note, RunChanged, Step


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s")


def begun(jobs: Jobs, run_id: str):
    """Wait until a run works and has told something."""
    return until(lambda: jobs.store.get(run_id).state == "running" and jobs.store.get(run_id).process)


def test_the_work_is_done_in_another_process_with_the_same_result(local, nap):
    outcome = local.run(nap(3))
    assert outcome.state == "finished"
    assert outcome.result["pid"] != os.getpid()
    inline = Jobs(engine="inline").run(nap(3))
    assert inline.result["metrics"] == outcome.result["metrics"]
    assert inline.result["pid"] == os.getpid()


def test_the_keys_are_the_users_alone(local, nap):
    local.run(nap(1))
    service = find_service(local.settings)
    assert service.address.startswith("tls://127.0.0.1:")
    assert (service.folder / "key.pem").stat().st_mode & 0o077 == 0
    code = f"from distributed import Client\nClient({service.address!r}, timeout=3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode, "without the key nobody gets in"
    stranger = local.settings.model_copy(update={"scheduler": service.address, "home": Path("/nowhere")})
    with pytest.raises(MomaError, match="no key to it"):
        Cluster(stranger).workers()
    named = stranger.model_copy(update={"scheduler": str(service.folder / "scheduler.json")})
    cluster = Cluster(named)
    assert cluster.workers(), "the keys lie beside the scheduler file"
    cluster.close()


def test_any_number_of_watchers_see_the_same_in_order(local, nap):
    run_id = local.submit(nap(30, pause=0.05))
    seen: dict[str, list] = {}

    def watch(name, wait):
        time.sleep(wait)
        with Jobs() as other:
            seen[name] = [entry for entry in other.watch(run_id) if entry.number >= 0]

    threads = [threading.Thread(target=watch, args=(f"watcher {n}", 0.7 * n)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    first, second, late = (seen[f"watcher {n}"] for n in range(3))
    assert first == second == late
    notes = [entry.event.message for entry in first if isinstance(entry.event, Note)]
    assert notes == [f"nap {number}" for number in range(30)]
    assert [entry.number for entry in first] == list(range(len(first)))


def test_a_run_stops_within_a_batch_and_goes_on_where_it_was(local, nap):
    run_id = local.submit(nap(200, pause=0.05))
    until(lambda: any(isinstance(e.event, Step) for e in _events(local, run_id)))
    started = time.monotonic()
    record = local.cancel(run_id)
    assert record.state == "cancelled"
    assert time.monotonic() - started < 5
    done = sum(isinstance(e.event, Note) for e in _events(local, run_id))
    assert 0 < done < 190
    with pytest.raises(InputError, match="already"):
        local.cancel(run_id)
    spec = local.store.spec(run_id)
    outcome = local.run(spec, run_id=run_id)
    assert outcome.state == "finished"
    assert outcome.result["metrics"]["begun_at"] >= done
    notes = [e.event.message for e in _events(local, run_id) if isinstance(e.event, Note)]
    assert len(notes) == len(set(notes)) >= 199, "no step is done twice"


def test_a_deaf_run_is_stopped_by_force_and_the_worker_comes_back(local, nap):
    run_id = local.submit(RunSpec("test-deaf", {"seconds": 300}))
    process = begun(local, run_id)
    record = local.cancel(run_id, grace=1)
    assert record.state == "cancelled"
    assert "by force" in record.message
    until(lambda: not psutil.pid_exists(process.pid))
    assert local.run(nap(1)).state == "finished"


def test_a_waiting_run_is_withdrawn(local, nap):
    busy = local.submit(nap(60, pause=0.05))
    waiting = local.submit(nap(3))
    begun(local, busy)
    assert local.cancel(waiting).state == "cancelled"
    assert local.wait(busy).state == "finished"
    assert not local.folder(waiting).joinpath("events.jsonl").exists()


def test_a_lost_worker_costs_an_attempt_not_the_run(local, tmp_path):
    outcome = local.run(RunSpec("test-die", {"marker": str(tmp_path / "marker")}))
    assert outcome.state == "finished"
    assert local.record(outcome.run_id).attempts == 2


def test_what_was_published_before_a_death_is_no_hindrance_but_other_things_are(local, tmp_path):
    target = tmp_path / "target"
    outcome = local.run(RunSpec("test-publish", {"target": str(target)}, {"die": True}))
    assert outcome.state == "finished", outcome.message
    assert local.record(outcome.run_id).attempts == 2
    refused = local.run(RunSpec("test-publish", {"target": str(target)}))
    assert (refused.state, refused.message) == ("failed", f"{target} exists already.")


def test_a_worker_has_all_cores_that_the_user_gives_it(home, units, monkeypatch):
    monkeypatch.setenv("MOMA_ENGINE", "local")
    monkeypatch.setenv("MOMA_THREADS", "2")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    try:
        with Jobs() as jobs:
            assert jobs.run(RunSpec("test-threads")).result["threads"] == 2
    finally:
        stop_service(find_service(jobs.settings))


def test_without_work_the_workers_end_by_themselves(home, monkeypatch):
    monkeypatch.setenv("MOMA_IDLE_MINUTES", "0.15")
    service = ensure_service(get_settings(), idle=lambda _: False)
    assert service.alive
    # A worker that was still starting when its scheduler ended tries for its death timeout of 60 s.
    until(lambda: not any(process.lives() for process in service.processes), 120)
    assert not find_service(get_settings()).alive


def test_a_worker_that_only_seemed_lost_leaves_the_run_to_its_successor(local, nap):
    """As when a worker is retired, or cut off: both are alive, and only one may go on."""
    run_id = local.submit(nap(400, pause=0.05))
    begun(local, run_id)
    until(lambda: sum(isinstance(e.event, Note) for e in _events(local, run_id)) > 5)
    order = json.loads((local.folder(run_id) / "order.json").read_text())
    outcome = execute(Order.from_dict(order))  # a second worker, here
    assert outcome.state == "finished"
    assert local.record(run_id).attempts == 2
    numbers = [entry.number for entry in _events(local, run_id)]
    assert numbers == list(range(len(numbers)))
    notes = [e.event.message for e in _events(local, run_id) if isinstance(e.event, Note)]
    assert len(notes) == len(set(notes)) >= 399


def test_processes_of_a_fit_end_with_their_worker(local, tmp_path):
    run_id = local.submit(RunSpec("test-ranks", {"folder": str(tmp_path)}, needs=Needs(processes=2)))
    pids = until(lambda: (found := [int(path.name) for path in tmp_path.iterdir()])[1:] and found, 60)
    os.kill(local.store.get(run_id).process.pid, signal.SIGKILL)
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    local.cancel(run_id)


def test_a_run_that_takes_every_worker_down_fails_after_three(local):
    outcome = local.run(RunSpec("test-die", {"marker": "/nowhere/at all"}))
    assert outcome.state == "failed"
    assert "died" in outcome.message
    assert local.record(outcome.run_id).attempts == 3


def test_a_run_goes_on_from_its_checkpoint_when_its_worker_is_killed(local, nap):
    run_id = local.submit(nap(80, pause=0.05))
    process = begun(local, run_id)
    until(lambda: sum(isinstance(e.event, Note) for e in _events(local, run_id)) > 5)
    os.kill(process.pid, signal.SIGKILL)
    outcome = local.wait(run_id)
    assert outcome.state == "finished"
    assert outcome.result["metrics"]["begun_at"] > 5
    assert local.record(run_id).process.pid != process.pid


def test_an_error_is_not_tried_again(local, nap):
    outcome = local.run(nap(3, fail_at=1))
    assert outcome.state == "failed"
    assert local.record(outcome.run_id).attempts == 1


def test_a_worker_that_lacks_a_backbone_or_data_says_so_in_a_sentence(local):
    from moma_app.tasks import get_task
    from moma_app.training.recipe import load_recipe
    from moma_app.work.finetune import finetune_spec

    task = get_task("elemental_bulk_modulus")
    spec = finetune_spec(task, load_recipe("finetune"), start="backbone", backbone="cghnet")
    outcome = local.run(spec)
    assert outcome.state == "failed"
    assert outcome.message.startswith("There is no backbone called 'cghnet': did you mean chgnet")
    assert "the worker on" in outcome.message
    missing = finetune_spec(get_task("mp_phonons"), load_recipe("finetune"), start="backbone")
    outcome = local.run(missing)
    assert outcome.state == "failed"
    assert "moma tasks fetch mp_phonons" in outcome.message


def test_a_need_that_no_worker_meets_is_an_error_not_a_wait(local, nap):
    local.run(nap(1))
    with pytest.raises(InputError, match=r"No worker .* offers GPU=1"):
        local.submit(RunSpec("test-nap", {"steps": 1}, needs=Needs(gpus=1)))


def test_more_urgent_runs_start_first(local, nap):
    import dataclasses

    busy = local.submit(nap(20, pause=0.05))
    begun(local, busy)
    usual = local.submit(nap(5))
    urgent = local.submit(dataclasses.replace(nap(6), priority=10))
    for run_id in (usual, urgent):
        local.wait(run_id)
    assert local.record(urgent).started < local.record(usual).started


@pytest.mark.parametrize("killed", ["face", "workers"])
def test_a_killed_process_leaves_nothing_running(home, units, nap, monkeypatch, killed):
    """A killed face leaves its run to the workers; with all of them gone it is interrupted, and resumed."""
    monkeypatch.setenv("MOMA_ENGINE", "local")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    code = (
        "from moma_app.jobs.jobs import Jobs\nfrom moma_app.jobs.spec import RunSpec\n"
        "with Jobs() as jobs: jobs.run(RunSpec('test-nap', {'steps': 60, 'pause': 0.1}))"
    )
    face = subprocess.Popen([sys.executable, "-c", code])
    try:
        with Jobs() as jobs:
            run_id = until(lambda: [r.id for r in jobs.store.runs()], 60)[0]
            begun(jobs, run_id)
            until(lambda: sum(isinstance(e.event, Note) for e in _events(jobs, run_id)) > 3)
            if killed == "face":
                face.kill()
                assert jobs.wait(run_id).state == "finished"
                return
            worker = jobs.store.get(run_id).process
            for process in (*find_service(jobs.settings).processes, worker):
                os.kill(process.pid, signal.SIGKILL)
            until(lambda: list_runs(jobs)[0].state == "interrupted", 30)
            record = jobs.record(run_id)
            assert "is gone" in record.message
            outcome = jobs.run(jobs.store.spec(run_id), run_id=run_id)
            assert outcome.state == "finished"
            assert outcome.result["metrics"]["begun_at"] > 3
    finally:
        face.kill()
        face.wait()
        subprocess.run([sys.executable, "-m", "moma_app", "workers", "stop"], check=True)


def test_watching_ends_when_the_run_does_however_it_does(local):
    run_id = local.submit(RunSpec("test-deaf", {"seconds": 300}))
    begun(local, run_id)
    last: list[RunChanged] = []

    def watch():
        with Jobs() as other:
            last.extend(entry.event for entry in other.watch(run_id))

    watcher = threading.Thread(target=watch)
    watcher.start()
    local.cancel(run_id, grace=0.5)
    watcher.join(20)
    assert not watcher.is_alive()
    assert last[-1].state == "cancelled"


def _events(jobs: Jobs, run_id: str):
    from moma_app.jobs.events import read

    return read(jobs.folder(run_id) / "events.jsonl")
