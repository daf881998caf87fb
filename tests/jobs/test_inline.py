"""Runs in this process: every ending, and what is kept of it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time

import pytest

from moma_app.errors import InputError, UnknownNameError
from moma_app.jobs.batch import run_all
from moma_app.jobs.events import read
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.listing import list_runs, old_runs, orphans, remove_orphan, resumable
from moma_app.jobs.spec import RunSpec
from moma_app.progress import RunChanged, Step


def test_a_run_that_finishes(inline, nap):
    heard = []
    outcome = inline.run(nap(4), heard.append)
    assert outcome.state == "finished"
    assert outcome.result["metrics"] == {"naps": 4, "begun_at": 0}
    states = [event.state for event in heard if isinstance(event, RunChanged)]
    assert states == ["queued", "running", "finished"]
    assert heard[0].run == outcome.run_id, "whoever starts a run is told its id first"
    record = inline.record(outcome.run_id[:8])
    assert record.metrics["naps"] == 4
    assert record.facts == {"begun_at": "0"}
    assert record.attempts == 1
    assert record.seconds > 0
    assert {"log.jsonl", "events.jsonl", "result.json", "spec.json"} <= set(inline.store.artefacts(record.id))
    assert not (inline.folder(record.id) / "checkpoints").exists(), (
        "checkpoints of a finished run are of no use"
    )


def test_a_run_that_fails_says_why_in_one_sentence_and_keeps_its_log(inline, nap):
    outcome = inline.run(nap(4, fail_at=2))
    assert (outcome.state, outcome.message) == ("failed", "Step too far.")
    lines = [
        json.loads(line) for line in (inline.folder(outcome.run_id) / "log.jsonl").read_text().splitlines()
    ]
    assert any("InputError" in line.get("traceback", "") for line in lines)
    assert "log.jsonl" in inline.store.artefacts(outcome.run_id)


def test_a_bug_is_a_failed_run_too(inline):
    outcome = inline.run(RunSpec("test-break"))
    assert outcome.state == "failed"
    assert outcome.message == "Unexpected KeyError: 'there is none'."


def test_an_unknown_unit_is_refused_before_anything_is_recorded(inline):
    with pytest.raises(UnknownNameError, match="unit of work"):
        inline.run(RunSpec("test-nup"))
    assert inline.store.runs() == []


def test_ctrl_c_leaves_a_cancelled_run_that_can_be_resumed(inline, nap):
    def interrupt(event):
        if isinstance(event, Step) and event.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inline.run(nap(6, pause=0.3), interrupt)
    (record,) = list_runs(inline)
    assert record.state == "cancelled"
    outcome = inline.run(inline.store.spec(record.id), run_id=record.id)
    assert outcome.run_id == record.id
    assert outcome.result["metrics"]["begun_at"] == 3
    assert inline.record(record.id).attempts == 2
    events = read(inline.folder(record.id) / "events.jsonl")
    assert [entry.number for entry in events] == list(range(len(events)))


def test_a_run_that_was_never_handed_over_does_not_wait_for_ever(inline, nap):
    """Its face was killed between recording it and sending it."""
    code = (
        "import os\nfrom moma_app.jobs.jobs import Jobs\nfrom moma_app.jobs.spec import RunSpec\n"
        "Jobs().store.create(RunSpec('test-nap', {'steps': 2}))\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (record,) = list_runs(inline)
    assert record.state == "interrupted"
    assert "handed over" in record.message
    mine = inline.store.create(nap(1))
    assert inline.record(mine).state == "queued", "this process may still hand it over"


def test_a_run_that_is_being_taken_back_is_not_taken_for_lost(inline, nap):
    """Whoever cancels takes the order from the scheduler first; somebody else may look at the run just then."""
    gone = {"scheduler": "tcp://127.0.0.1:9", "key": "moma-1", "handed_over": time.time() - 60}
    cancelled, lost = inline.store.create(nap(2)), inline.store.create(nap(2))
    inline.store.tag(cancelled, **gone, cancel=time.time())
    inline.store.tag(lost, **gone)
    assert inline.record(cancelled).state == "cancelled"
    assert inline.record(lost).state == "interrupted"


def test_only_what_stopped_early_can_be_resumed(inline, nap):
    done = inline.run(nap(1))
    with pytest.raises(InputError, match=r"finished.*rerun"):
        inline.resume(done.run_id)


def test_the_newest_equal_work_is_found_to_resume(inline, nap):
    failed = inline.run(nap(3, fail_at=1))
    assert resumable(inline, nap(3, fail_at=1).digest).id == failed.run_id
    assert resumable(inline, nap(3).digest) is None
    inline.run(nap(3))
    assert resumable(inline, nap(3).digest) is None


def test_a_rerun_is_a_new_run_of_the_same_work(inline, nap):
    first = inline.run(nap(2))
    second = inline.run(inline.rerun(first.run_id))
    assert second.run_id != first.run_id
    assert second.result["metrics"] == first.result["metrics"]
    assert inline.record(first.run_id).digest == inline.record(second.run_id).digest


def test_a_plan_goes_on_where_it_stopped(inline, nap):
    plan = [nap(1), nap(2), nap(3, fail_at=0), nap(1)]
    heard = []
    first = run_all(inline, plan, heard.append, what="cells")
    assert [outcome.state for outcome in first] == ["finished", "finished", "failed", "finished"]
    assert first[0].run_id == first[3].run_id, "equal work is done once"
    assert [(event.what, event.done, event.total) for event in heard] == [("cells", n, 3) for n in (1, 2, 3)]
    again = run_all(inline, [*plan, nap(4)])
    assert [outcome.run_id for outcome in again[:4]] == [outcome.run_id for outcome in first]
    assert len(inline.store.runs()) == 4


def test_a_runs_folder_is_its_owners(inline, nap):
    assert inline.folder(inline.run(nap(1)).run_id).stat().st_mode & 0o077 == 0


def test_clearing_up(inline, nap):
    kept, gone = inline.run(nap(1)), inline.run(nap(2))
    inline.delete(gone.run_id)
    assert [record.id for record in list_runs(inline)] == [kept.run_id]
    assert not inline.folder(gone.run_id).exists()
    (inline.settings.runs_folder / "stray").mkdir()
    assert orphans(inline) == ["stray"]
    remove_orphan(inline, "stray")
    assert orphans(inline) == []
    assert old_runs(inline, days=1) == []
    assert [record.id for record in old_runs(inline, days=0)] == [kept.run_id]
    assert old_runs(inline, days=0, keep=1) == []


def test_the_log_keeps_to_its_level(inline, nap, monkeypatch):
    monkeypatch.setenv("MOMA_LOG_LEVEL", "warning")
    before = logging.getLogger("moma_app").level
    with Jobs(engine="inline") as jobs:
        outcome = jobs.run(nap(2))
        assert (jobs.folder(outcome.run_id) / "log.jsonl").read_text() == ""
    assert logging.getLogger("moma_app").level == before
    assert list(jobs.watch(outcome.run_id))[-1].event.state == "finished", (
        "events do not depend on the log's level"
    )


def test_a_watcher_that_comes_late_gets_everything_in_order(inline, nap):
    outcome = inline.run(nap(3))
    entries = list(inline.watch(outcome.run_id))
    assert [entry.number for entry in entries] == list(range(len(entries)))
    naps = [entry.event.message for entry in entries if entry.event.kind == "Note"]
    assert naps == ["nap 0", "nap 1", "nap 2"]
    assert entries[-1].event == RunChanged(state="finished", fraction=1.0)
