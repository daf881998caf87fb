"""The memory of runs: what MLflow keeps, read directly or through MLflow, is the same."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
import time

import pytest

from moma_app.errors import DamagedFileError, DataNotFoundError, InputError, UnknownNameError
from moma_app.jobs.record import Record
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.store import RunStore, StoreError


@pytest.fixture
def store(tmp_path):
    return RunStore(f"sqlite:///{tmp_path}/runs.db", tmp_path / "artefacts")


@pytest.fixture
def through_mlflow(store):
    """The same store, read as a server is: by MLflow's client alone."""

    class Slow(RunStore):
        _file = None

    slow = Slow(store.uri)
    slow._client = store.client
    return slow


SPEC = RunSpec(
    "compose", {"task": "mp_phonons", "amc": {"k": 5, "modules": None}, "text": "a'b"}, task="mp_phonons"
)


def fill(store: RunStore) -> list[str]:
    ids = []
    for number, state in enumerate(("queued", "running", "finished", "failed", "cancelled", "interrupted")):
        run = store.create(dataclasses.replace(SPEC, name=f"run {number}", task=f"task{number % 2}"))
        store.change(run, state, message=f"it is {state}", started=1.5, attempts=number)
        store.metrics(run, {"val_error": 0.1 * number, "nan": float("nan")}, step=3)
        store.facts(run, {"data_hash": "abc", "seed": 0})
        ids.append(run)
        time.sleep(0.002)
    return ids


def test_both_ways_to_read_agree(store, through_mlflow):
    ids = fill(store)
    fast = store.runs()
    assert [record.id for record in fast] == ids[::-1]
    slow = through_mlflow.runs()
    assert [dataclasses.replace(record, parameters={}) for record in slow] == fast
    for run in ids:
        assert store.get(run) == through_mlflow.get(run)
        assert store.find(run[:12]).id == through_mlflow.find(run[:12]).id == run
    for wish in (
        {"states": ["failed"]},
        {"states": ["failed", "queued"]},
        {"task": "task1"},
        {"limit": 2},
        {"offset": 2, "limit": 3},
        {"offset": 5, "limit": 3},
        {"name": "UN 3"},
        {"name": "un", "task": "task1", "offset": 1, "limit": 1},
        {"name": "nothing"},
    ):
        assert [r.id for r in store.runs(**wish)] == [r.id for r in through_mlflow.runs(**wish)]
    assert store.runs(digest="no such") == []


def test_pages_of_a_search(store):
    ids = fill(store)[::-1]
    assert store.count() == 6
    assert store.count(task="task1", states=["running", "failed", "queued"], name="RUN") == 2
    assert store.count(name="%") == 0, "a name is text, not a pattern"
    pages = [store.runs(offset=offset, limit=4) for offset in (0, 4, 8)]
    assert [record.id for page in pages for record in page] == ids
    assert RunStore(store.uri.replace("runs.db", "none.db")).count() == 0


def test_a_failing_store_does_not_tell_its_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = RunStore("http://me:secret@127.0.0.1:1")
    with pytest.raises(StoreError) as told:
        store.runs()
    assert "me:***@127.0.0.1" in str(told.value)
    assert "secret" not in str(told.value)


def test_what_is_kept_comes_back(store, tmp_path):
    run = store.create(SPEC)
    assert store.spec(run) == SPEC
    record = store.get(run)
    assert isinstance(record, Record)
    assert record.parameters == {"task": "mp_phonons", "amc.k": "5", "text": "a'b"}
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "file.txt").write_text("x")
    store.keep(run, tmp_path / "folder")
    assert store.artefacts(run) == ["inner/file.txt", "spec.json"]
    assert (store.fetch(run, "inner", tmp_path / "out") / "file.txt").read_text() == "x"
    with pytest.raises(DataNotFoundError, match="no artefact"):
        store.fetch(run, "nothing", tmp_path / "out")
    with pytest.raises(DataNotFoundError):
        store.result(run)
    store.metrics(run, {"val_error": 2.0}, 2)
    store.metrics(run, {"val_error": 1.0}, 1)
    assert store.history(run, "val_error") == [(1, 1.0), (2, 2.0)]


def test_ids_may_be_cut_short_but_not_too_short(store):
    ids = fill(store)
    with pytest.raises(UnknownNameError, match="no run"):
        store.find("0" * 31)
    with pytest.raises(InputError, match="no run's id"):
        store.find("mp_phonons")
    if len({run[0] for run in ids}) < len(ids):
        shared = next(run[0] for run in ids if sum(other[0] == run[0] for other in ids) > 1)
        with pytest.raises(InputError, match="runs start with"):
            store.find(shared)


def test_a_deleted_run_is_gone_with_its_files(store, tmp_path):
    run = store.create(SPEC)
    (folder,) = (tmp_path / "artefacts").iterdir()
    store.delete(run)
    assert store.runs() == []
    assert not [path for path in folder.rglob("*") if path.is_file()]
    with pytest.raises(UnknownNameError):
        store.get(run)


def test_an_empty_or_missing_store_has_no_runs(tmp_path):
    assert RunStore(f"sqlite:///{tmp_path}/none.db").runs() == []
    (tmp_path / "empty.db").touch()
    assert RunStore(f"sqlite:///{tmp_path}/empty.db").runs() == []


def test_a_damaged_store_says_what_to_do(tmp_path):
    (tmp_path / "runs.db").write_bytes(b"this is no database, but long enough to look at" * 100)
    with pytest.raises(DamagedFileError, match="move it away"):
        RunStore(f"sqlite:///{tmp_path}/runs.db").runs()


def test_a_server_that_does_not_answer_says_so(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_URI"):
        RunStore("http://127.0.0.1:9").runs()


def test_reading_a_list_does_not_import_mlflow(store):
    fill(store)
    code = (
        "import sys\nfrom moma_app.jobs.store import RunStore\n"
        f"assert len(RunStore({store.uri!r}).runs()) == 6\n"
        "assert not {'mlflow', 'torch', 'distributed', 'pandas'} & set(sys.modules), 'slow imports'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_processes_may_make_the_store_at_once(tmp_path):
    code = (
        "from moma_app.jobs.store import RunStore\nfrom moma_app.jobs.spec import RunSpec\nfrom pathlib import Path\n"
        f"s = RunStore('sqlite:///{tmp_path}/runs.db', Path('{tmp_path}/a'))\n"
        "for n in range(5): s.change(s.create(RunSpec('u')), 'finished')"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(RunStore(f"sqlite:///{tmp_path}/runs.db").runs()) == 15


def test_readers_do_not_wait_for_a_writer(store):
    fill(store)
    file = store.uri.removeprefix("sqlite:///")
    with sqlite3.connect(file) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE runs SET name = 'x'")
        started = time.perf_counter()
        assert len(store.runs()) == 6
        assert time.perf_counter() - started < 5
