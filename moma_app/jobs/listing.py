"""Lists of runs in their true states, and clearing up."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moma_app.jobs.liveness import settle
from moma_app.jobs.record import Record
from moma_app.jobs.states import OPEN, STATES, State

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs

DAY = 86_400.0


def list_runs(
    jobs: Jobs,
    *,
    states: Iterable[State] = STATES,
    unit: str | None = None,
    task: str | None = None,
    digest: str | None = None,
    limit: int | None = None,
) -> list[Record]:
    """Return runs, newest first, each in its true state.

    Only runs that are recorded as queued or running are looked at closer.
    """
    wanted = set(states)
    for record in jobs.store.runs(states=sorted(OPEN), unit=unit, task=task, digest=digest):
        settle(jobs, record)
    return jobs.store.runs(states=sorted(wanted), unit=unit, task=task, digest=digest, limit=limit)


def resumable(jobs: Jobs, digest: str) -> Record | None:
    """Return the newest run of equal work, if it stopped before its end; ``None`` otherwise."""
    found = list_runs(jobs, digest=digest, limit=1)
    return found[0] if found and found[0].state in ("failed", "cancelled", "interrupted") else None


def old_runs(
    jobs: Jobs,
    *,
    days: float,
    states: Iterable[State] = ("failed", "cancelled", "interrupted", "finished"),
    keep: int = 0,
) -> list[Record]:
    """Return ended runs that were created more than ``days`` ago; the newest ``keep`` stay out."""
    limit = time.time() - days * DAY
    ended = [record for record in list_runs(jobs, states=states) if not record.open]
    return [record for record in ended[keep:] if record.created < limit]


def orphans(jobs: Jobs) -> list[str]:
    """Return folders of runs that the store does not know (any more), by name."""
    folder = jobs.settings.runs_folder
    if not folder.is_dir():
        return []
    known = {record.id for record in jobs.store.runs()}
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in known)


def remove_orphan(jobs: Jobs, name: str) -> None:
    """Remove a folder that :func:`orphans` named."""
    shutil.rmtree(jobs.folder(name), ignore_errors=True)
