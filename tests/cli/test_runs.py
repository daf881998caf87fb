"""``moma runs`` and ``moma workers`` as a user meets them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

TASK = "elemental_bulk_modulus"


@pytest.fixture(autouse=True)
def _own_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("MOMA_DEVICE", "cpu")
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))


def test_an_empty_memory(ok, refused):
    assert ok("runs", "list").strip() == "No runs yet."
    assert json.loads(ok("runs", "list", "--json")) == []
    assert "no runs yet" in refused("runs", "show", "last")
    assert "no run's id" in refused("runs", "show", "mp_phonons")
    assert "did you mean finished" in refused("runs", "list", "--state", "finish")


def test_the_life_of_a_composition(ok, refused, tmp_path):
    ok("compose", TASK, "--instant", "--hub", "builtin", "-q")
    (listed,) = json.loads(ok("runs", "list", "--json"))
    run = listed["id"][:8]
    assert (listed["state"], listed["task"]) == ("finished", TASK)
    assert re.search(rf"{run}\s+finished", ok("runs", "list"))
    shown = ok("runs", "show", run)
    for part in ("hub_hash", "data_hash", "test_mae", "amc.temperature", "composition.json", "moma-app"):
        assert part in shown
    assert json.loads(ok("runs", "show", "last", "--json"))["id"] == listed["id"]
    assert "weights solved" in ok("runs", "log", run)
    assert json.loads(ok("runs", "log", run, "--json", "-n", "1"))[0]["level"] == "info"
    assert "the same numbers" in ok("runs", "rerun", run, "-q")
    again = json.loads(ok("runs", "list", "--json"))[0]["id"][:8]
    compared = ok("runs", "compare", run, again)
    assert "test_mae" in compared
    assert "differ" not in compared
    ok("runs", "fetch", run, tmp_path / "out", "--name", "predictor")
    assert (tmp_path / "out" / "predictor" / "predictor.json").is_file()
    assert "report.html" in ok("runs", "fetch", run, tmp_path / "all")
    assert "already" in refused("runs", "cancel", run)
    assert "rerun" in refused("runs", "resume", run)
    assert json.loads(
        ok("runs", "prune", "--older-than", "0", "--state", "finished", "--keep", "1", "--dry-run", "--json")
    )["runs"] == [listed["id"]]
    ok("runs", "delete", run)
    assert [r["id"][:8] for r in json.loads(ok("runs", "list", "--json"))] == [again]
    assert "Deleted 1 run " in ok("runs", "prune", "--older-than", "0", "--state", "finished")
    assert "No runs yet." in ok("runs", "list")


def test_a_failure_names_the_run_and_its_log(ok, refused):
    sentence = refused("compose", "mp_phonons", "--hub", "builtin")
    assert "moma tasks fetch mp_phonons" in sentence
    run = re.search(r"run ([0-9a-f]{8})", sentence)[1]
    assert "DataNotFoundError" in ok("runs", "log", run)
    assert "failed" in ok("runs", "list", "--state", "failed")
    assert "No such runs." in ok("runs", "list", "--state", "finished")


def test_comparing_different_runs_shows_what_differs(ok):
    for k in (3, 5):
        ok("compose", TASK, "--k", k, "--hub", "builtin", "-q")
    newest, oldest = (r["id"][:8] for r in json.loads(ok("runs", "list", "--json")))
    compared = ok("runs", "compare", oldest, newest)
    assert "arguments that differ" in compared
    assert re.search(r"amc\.k\s+3\s+5", compared)


def test_processes_that_cannot_be_had_are_refused_at_once(refused):
    train = ("hub", "train", TASK, "--name", "x")
    assert "torchrun or srun" in refused(*train, "--nodes", "2")
    assert "give --device cuda" in refused(*train, "--devices", "2", "--device", "auto")
    assert "did you mean ddp" in refused(*train, "--strategy", "dpd")


def test_local_workers_from_start_to_stop(tmp_path):
    """Two terminals: one starts work and is closed, the other watches, stops and resumes it."""
    environment = {
        **os.environ,
        "MOMA_HOME": str(tmp_path / "home"),
        "MOMA_ENGINE": "local",
        "OMP_NUM_THREADS": "1",
    }

    def moma(*arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "moma_app", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    try:
        assert "start with the first run" in moma("workers", "status")
        command = [sys.executable, "-m", "moma_app", "finetune", TASK, "--from", "backbone", "--epochs", "40"]
        with (tmp_path / "terminal").open("w") as terminal:
            face = subprocess.Popen(command, env=environment, stderr=terminal, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while "epoch 2/40" not in (tmp_path / "terminal").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "local-0" in moma("workers", "status")
        face.send_signal(signal.SIGINT)
        assert face.wait(60) == 130
        (record,) = json.loads(moma("runs", "list", "--json"))
        assert record["state"] == "cancelled"
        assert "is queued" in moma("runs", "resume", "last", "--detach")
        assert "is cancelled" in moma("runs", "cancel", "last")
        assert "have stopped" in moma("workers", "stop")
        assert "No local workers" in moma("workers", "stop")
    finally:
        moma("workers", "stop")
