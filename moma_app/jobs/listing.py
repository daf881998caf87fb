"""Lists of runs in their true states, and clearing up."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moma_app.jobs.liveness import settle_all
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
    name: str = "",
    offset: int = 0,
    limit: int | None = None,
) -> list[Record]:
    """Return runs, newest first, each in its true state; arguments as of ``RunStore.runs``.

    Only runs that are recorded as queued or running are looked at closer.
    """
    wanted = set(states)
    settle_all(jobs, jobs.store.runs(states=sorted(OPEN), unit=unit, task=task, digest=digest, name=name))
    return jobs.store.runs(
        states=sorted(wanted), unit=unit, task=task, digest=digest, name=name, offset=offset, limit=limit
    )


@dataclass(frozen=True)
class Page:
    """Some of the runs that a search finds.

    Attributes:
        records: the runs, newest first.
        offset: how many newer ones were left out.
        more: whether older ones follow.
        total: how many the search finds in all; ``None`` from a tracking server, which does not count.
    """

    records: list[Record]
    offset: int
    more: bool
    total: int | None


def page_of_runs(
    jobs: Jobs,
    *,
    states: Iterable[State] = STATES,
    unit: str | None = None,
    task: str | None = None,
    name: str = "",
    offset: int = 0,
    limit: int,
) -> Page:
    """Return some runs, newest first, each in its true state; takes as long for 10 runs as for 10,000.

    Args:
        jobs: whose runs.
        states, unit, task: only these.
        name: only runs with this in their name, whatever the case.
        offset: leave so many out, the newest first.
        limit: at most so many.
    """
    wanted = sorted(set(states))
    found = list_runs(jobs, states=wanted, unit=unit, task=task, name=name, offset=offset, limit=limit + 1)
    total = jobs.store.count(states=wanted, unit=unit, task=task, name=name)
    return Page(found[:limit], offset, len(found) > limit, total)


def by_digest(jobs: Jobs, digests: Collection[str], *, unit: str | None = None) -> dict[str, Record]:
    """Return the run that stands for each piece of work, in its true state; none where it was never begun.

    That is the newest finished one: what has been done stays done, even if somebody stopped a
    repetition. Where none has finished it is the newest.

    Args:
        jobs: whose store is read, once.
        digests: of the pieces.
        unit: of all of them, if they share one.
    """
    wanted = set(digests)
    found: dict[str, Record] = {}
    for record in jobs.store.runs(unit=unit):
        if record.digest not in wanted:
            continue
        earlier = found.setdefault(record.digest, record)
        if record.state == "finished" and earlier.state != "finished":
            found[record.digest] = record
    open_runs = settle_all(jobs, [record for record in found.values() if record.open])
    return found | {record.digest: record for record in open_runs}


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
