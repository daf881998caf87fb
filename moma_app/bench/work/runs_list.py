"""Listing a large memory of runs, as a user does: the whole command, in a process of its own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from moma_app.bench.job import Job
from moma_app.bench.sizes import required
from moma_app.bench.work.base import Work
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.store import RunStore

TABLES = ("tags", "params", "latest_metrics")


def ours(job: Job) -> Work:
    """List the newest runs of many; the store is filled with copies of one run that was really recorded."""
    runs = required(job.sizes.rows)
    home = Path(job.scratch) / "home"
    store = RunStore(f"sqlite:///{home / 'runs.db'}", home / "artefacts")
    home.mkdir(parents=True)
    run_id = store.create(RunSpec("finetune", {f"argument{n}": n for n in range(40)}, task="mp_phonons"))
    store.change(run_id, "finished", host="host", message="", started=1.0, ended=2.0, attempts=1)
    store.facts(run_id, {"data_hash": "0" * 64, "hub_hash": "1" * 64, "seed": 0, "hardware": "a processor"})
    store.metrics(run_id, {f"metric{n}": 0.5 for n in range(10)})
    _copy(home / "runs.db", run_id, runs - 1)
    environment = {**os.environ, "MOMA_HOME": str(home), "MLFLOW_TRACKING_URI": ""}

    def listing(*options: str) -> bytes:
        command = [sys.executable, "-m", "moma_app", "runs", "list", *options]
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603

    started = time.perf_counter()
    listed = listing("--limit", "0", "--json").count(b'"digest"')
    seconds = time.perf_counter() - started
    if listed != runs:
        raise RuntimeError(f"{listed} of {runs} runs were listed")
    return Work(run=listing, units=1, warm_up=listing, facts={"seconds for all of them as JSON": seconds})


def _copy(file: Path, run_id: str, copies: int) -> None:
    """Repeat one run's rows; MLflow itself would take a quarter of an hour."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "CREATE TEMP TABLE ids AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            "WHERE i < ?) SELECT printf('%032x', i) AS id, i FROM n",
            (copies,),
        )
        for table, key in (("runs", "run_uuid"), *((table, "run_uuid") for table in TABLES)):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ["ids.id" if n == key else f"{n} + ids.i" if n == "start_time" else n for n in names]
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {table}, ids "  # noqa: S608
                f"WHERE {table}.{key} = ?",
                (run_id,),
            )
