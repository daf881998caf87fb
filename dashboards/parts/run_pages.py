"""Pages of the list of runs, looked up once for all sessions that show the same one."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboards.runs_light import count_open
from dashboards.services import get_jobs
from moma_app.errors import UnknownNameError
from moma_app.jobs.listing import Page, page_of_runs
from moma_app.jobs.states import STATES

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.states import State

ROWS = 25
"""Runs on one page."""
FRESH = 2.5
"""Seconds for which a page is as good as new while a run is open."""
QUIET = 15.0
"""The same while none is: what another program records then is seen so much later."""
KEPT = 64
"""Pages that are remembered."""


@dataclass(frozen=True)
class Wanted:
    """Which runs a page shows.

    Attributes:
        states: in these states.
        unit, task: of this kind, on this task; ``None`` for all.
        name: with this in their name, or with an id that starts so.
        sheet: number of the page, from 1.
    """

    states: tuple[State, ...] = STATES
    unit: str | None = None
    task: str | None = None
    name: str = ""
    sheet: int = 1


_LOCK = threading.Lock()
_SEEN: dict[Wanted, tuple[float, Page]] = {}


def look(wanted: Wanted) -> Page:
    """Return a page of runs, at most a few seconds old."""
    busy = count_open() > 0
    with _LOCK:
        if (seen := _SEEN.get(wanted)) is not None:
            at, page = seen
            changing = busy or any(record.open for record in page.records)
            if time.monotonic() - at < (FRESH if changing else QUIET):
                return page
        page = _read(wanted)
        while len(_SEEN) >= KEPT:
            del _SEEN[next(iter(_SEEN))]
        _SEEN[wanted] = (time.monotonic(), page)
        return page


def forget() -> None:
    """Look anew the next time: something was started, stopped or deleted here."""
    with _LOCK:
        _SEEN.clear()


def _read(wanted: Wanted) -> Page:
    jobs = get_jobs()
    if is_start_of_id(wanted.name):
        return _by_id(jobs, wanted.name)
    return page_of_runs(
        jobs,
        states=wanted.states,
        unit=wanted.unit,
        task=wanted.task,
        name=wanted.name,
        offset=ROWS * (wanted.sheet - 1),
        limit=ROWS,
    )


def _by_id(jobs: Jobs, start: str) -> Page:
    try:
        found = [jobs.record(start)]
    except UnknownNameError:
        found = []
    return Page(found, offset=0, more=False, total=len(found))


def is_start_of_id(text: str) -> bool:
    """Say whether somebody who looks for this means an id: six hexadecimal digits or more, and one is a digit."""
    return 6 <= len(text) <= 32 and not set(text) - set("0123456789abcdef") and any(c.isdigit() for c in text)
