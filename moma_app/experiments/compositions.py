"""Finished compositions of any run: found in the tracking store, read once, their summaries kept."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.amc.result import AMCResult
from moma_app.errors import DamagedFileError, DataNotFoundError, InputError
from moma_app.experiments.summary import Summary

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.record import Record

ARTEFACT = "composition.json"
KEPT = "compositions-1.db"
"""File of summaries under ``MOMA_HOME``; its number changes with what a summary holds. It can be deleted."""
PATIENCE = 10.0
"""Seconds that a process waits for another one that writes."""
AT_ONCE = 500
"""Summaries asked for in one query; SQLite limits the number of its arguments."""


def finished_compositions(jobs: Jobs, tasks: Collection[str]) -> list[Summary]:
    """Return all finished compositions for some tasks, newest first, whatever run they are of.

    A composition's file holds the predictions of all modules; it is read the first time only.

    Args:
        jobs: whose runs.
        tasks: names of the tasks.
    """
    candidates = [
        record
        for record in jobs.store.runs(states=["finished"])
        if record.task in tasks and "hub_hash" in record.facts
    ]
    file = jobs.settings.home / KEPT
    known = _load(file, [record.id for record in candidates])
    new = {record.id: _read(jobs, record) for record in candidates if record.id not in known}
    if new:
        _save(file, new)
    found = {**known, **new}
    return [summary for record in candidates if (summary := found[record.id]) is not None]


def _read(jobs: Jobs, record: Record) -> Summary | None:
    """Return the summary of a run's composition; ``None`` if its files are damaged or of another version."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            text = jobs.store.fetch(record.id, ARTEFACT, Path(folder)).read_text(encoding="utf-8")
        return Summary.of(record.id, AMCResult.from_json(text), jobs.store.spec(record.id))
    except (DataNotFoundError, DamagedFileError, InputError):
        return None


def _load(file: Path, runs: list[str]) -> dict[str, Summary | None]:
    found: dict[str, Summary | None] = {}
    with _open(file) as database:
        for start in range(0, len(runs), AT_ONCE):
            some = runs[start : start + AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = f"SELECT run, summary FROM compositions WHERE run IN ({marks})"  # noqa: S608 - marks only
            for run, text in database.execute(query, some):
                found[run] = None if text is None else Summary.from_json(text)
    return found


def _save(file: Path, new: Mapping[str, Summary | None]) -> None:
    rows = [(run, None if summary is None else summary.to_json()) for run, summary in new.items()]
    with _open(file) as database, database:
        database.executemany("INSERT OR REPLACE INTO compositions VALUES (?, ?)", rows)


@contextmanager
def _open(file: Path) -> Iterator[sqlite3.Connection]:
    """Open the summaries, made if they are not there.

    Raises:
        InputError: they cannot be used.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS compositions (run TEXT PRIMARY KEY, summary TEXT)")
            yield database
    except (sqlite3.Error, OSError, DamagedFileError) as exc:
        raise InputError(
            f"The summaries of compositions in {file} cannot be used ({exc}): delete the file, it will be made anew."
        ) from exc
