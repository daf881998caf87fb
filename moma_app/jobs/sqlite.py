"""MLflow's SQLite file read directly, because importing MLflow takes longer than reading 10,000 runs.

Nothing is written here. The tables and columns are those that MLflow has had since version 1; a test
compares every answer with MLflow's own.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

from moma_app.errors import DamagedFileError
from moma_app.jobs.record import PREFIX, Record

SCHEME = "sqlite:///"
PATIENCE = 60
"""Seconds that a writer waits for another one."""
AT_ONCE = 500
"""Runs asked for in one query; SQLite limits the number of its arguments."""


def file_of(uri: str) -> Path | None:
    """Return the file of a SQLite store, or ``None`` for another kind of store."""
    return Path(unquote(uri.removeprefix(SCHEME).partition("?")[0])) if uri.startswith(SCHEME) else None


def patient(uri: str) -> str:
    """Return the address with a writer's patience."""
    return uri if "timeout=" in uri else f"{uri}{'&' if '?' in uri else '?'}timeout={PATIENCE}"


def let_readers_and_writers_meet(file: Path) -> None:
    """Switch the file to a write-ahead log: readers do not wait for writers. It stays so."""
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def ids_from(file: Path, experiment: str, start: str) -> list[str]:
    """Return the ids of runs that start with some digits, at most 20."""
    with _open(file) as connection:
        if connection is None:
            return []
        rows = connection.execute(
            "SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = ? "
            "AND runs.lifecycle_stage = 'active' AND run_uuid >= ? AND run_uuid < ? LIMIT 20",
            (experiment, start, start + "g"),
        ).fetchall()
    return [row[0] for row in rows]


def artefact_folder(file: Path, run_id: str) -> Path | None:
    """Return the folder of a run's artefacts, if it is on this machine."""
    with _open(file) as connection:
        found = (
            connection
            and connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
        )
    place = urlparse(found[0]) if found and found[0] else None
    return Path(unquote(place.path)) if place is not None and place.scheme in ("", "file") else None


def read(
    file: Path,
    experiment: str,
    *,
    ids: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str = "",
    offset: int = 0,
    limit: int | None = None,
    whole: bool = False,
) -> list[Record]:
    """Return runs of an experiment, newest first.

    Args:
        file: the SQLite file; one that does not exist has no runs.
        experiment: its name.
        ids: only these.
        states: only runs in these states.
        tags: only runs with these values of our tags.
        name: only runs with this in their name, whatever the case.
        offset: leave so many out, the newest first.
        limit: at most so many.
        whole: with parameters.

    Raises:
        DamagedFileError: the file is no database, or not MLflow's.
    """
    condition, values = _condition(experiment, ids, states, tags, name)
    query = (
        f"SELECT run_uuid, runs.name, start_time FROM {_RUNS} "  # noqa: S608 - marks only
        f"WHERE {condition} ORDER BY start_time DESC, run_uuid LIMIT ? OFFSET ?"
    )
    with _open(file) as connection:
        if connection is None:
            return []
        runs = connection.execute(query, [*values, -1 if limit is None else limit, offset]).fetchall()
        found = [run[0] for run in runs]
        run_tags = _pairs(connection, "tags", found)
        metrics = _pairs(connection, "latest_metrics", found)
        parameters = _pairs(connection, "params", found) if whole else {}
    records = (
        Record.from_tags(
            run_id,
            name or "",
            (start or 0) / 1000,
            run_tags.get(run_id, {}),
            metrics={key: float(value) for key, value in metrics.get(run_id, {}).items()},
            parameters=parameters.get(run_id),
        )
        for run_id, name, start in runs
    )
    return [record for record in records if record is not None]


def count(
    file: Path,
    experiment: str,
    *,
    states: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    name: str = "",
) -> int:
    """Return how many runs :func:`read` would find."""
    condition, values = _condition(experiment, None, states, tags, name)
    with _open(file) as connection:
        if connection is None:
            return 0
        found = connection.execute(f"SELECT COUNT(*) FROM {_RUNS} WHERE {condition}", values).fetchone()  # noqa: S608 - marks only
    return int(found[0])


_RUNS = "runs JOIN experiments USING (experiment_id)"


def _condition(
    experiment: str,
    ids: Sequence[str] | None,
    states: Sequence[str] | None,
    tags: Mapping[str, str] | None,
    name: str,
) -> tuple[str, list[str | int]]:
    """Return a condition in SQL and the values of its marks."""
    where = ["experiments.name = ?", "runs.lifecycle_stage = 'active'"]
    values: list[str | int] = [experiment]
    if ids is not None:
        where.append(f"run_uuid IN ({_marks(ids)})")
        values += ids
    if name:
        where.append("instr(lower(runs.name), lower(?))")
        values.append(name)
    for key, wanted in [("state", states or []), *((k, [v]) for k, v in (tags or {}).items())]:
        if wanted:
            where.append(
                f"run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value IN ({_marks(wanted)}))"  # noqa: S608 - marks only
            )
            values += [PREFIX + key, *wanted]
    return " AND ".join(where), values


def _pairs(connection: sqlite3.Connection, table: str, ids: list[str]) -> dict[str, dict[str, str]]:
    pairs: dict[str, dict[str, str]] = defaultdict(dict)
    for start in range(0, len(ids), AT_ONCE):
        chunk = ids[start : start + AT_ONCE]
        query = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({_marks(chunk)})"  # noqa: S608 - our tables
        for run_id, key, value in connection.execute(query, chunk):
            pairs[run_id][key] = value
    return pairs


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


@contextmanager
def _open(file: Path) -> Iterator[sqlite3.Connection | None]:
    if not file.is_file():
        yield None
        return
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
            connection.execute("PRAGMA query_only = ON")
            made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'latest_metrics'").fetchone()
            yield connection if made else None
    except sqlite3.DatabaseError as exc:
        raise DamagedFileError(
            f"The tracking store {file} cannot be read ({exc}): move it away to start a new one, or restore a copy."
        ) from exc
