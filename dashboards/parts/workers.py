"""The workers that runs go to, and what they are doing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import empty, muted
from dashboards.components.table import Table
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.jobs.service import find_service
from moma_app.plots.text import count

EVERY = 6000
"""Milliseconds between two looks."""
FRESH = 5.0
"""Seconds for which all sessions share one look."""
COLUMNS = ("Worker", "Runs now", "Memory (GiB)", "Offers", "Address")


@dataclass(frozen=True)
class Workers:
    """The workers as they stand.

    Attributes:
        place: where they are, in words.
        rows: one for each, by the names in ``COLUMNS``.
    """

    place: str
    rows: list[dict[str, Any]]


_LOCK = threading.Lock()
_LAST: tuple[float, Workers | None] = (0.0, None)


def workers_now() -> Workers:
    """Return the workers, looked up once for all sessions; asks no worker to start.

    Raises:
        MomaError: the scheduler that the settings name does not answer.
    """
    global _LAST  # noqa: PLW0603 - one look for the whole server
    with _LOCK:
        at, last = _LAST
        if last is None or time.monotonic() - at > FRESH:
            last = _read()
            _LAST = (time.monotonic(), last)
        return last


def _read() -> Workers:
    jobs = get_jobs()
    if jobs.engine == "inline":
        return Workers("Runs are done by the process that starts them (engine inline).", [])
    if jobs.settings.scheduler is None:
        service = find_service(jobs.settings)
        if service is None or not service.alive:
            return Workers("No local workers are running; they start with the next run.", [])
    found = jobs.cluster.workers()
    rows = [
        {
            "Worker": str(worker["name"]),
            "Runs now": int((worker.get("metrics") or {}).get("executing", 0)),
            "Memory (GiB)": worker["memory_limit"] / 2**30,
            "Offers": ", ".join(f"{name} {amount:g}" for name, amount in worker.get("resources", {}).items()),
            "Address": address,
        }
        for address, worker in found.items()
    ]
    where = "on this machine" if jobs.settings.scheduler is None else f"at {jobs.cluster.address}"
    return Workers(f"{count(len(rows), 'worker')} {where}.", rows)


class WorkersPart(Viewer):
    """A small table of the workers."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._table = Table(session, COLUMNS, digits={"Memory (GiB)": 3}, page_size=8)
        self._place = pn.Column(
            empty("Looking for workers …"), sizing_mode="stretch_width", min_height=110, margin=0
        )
        self._drawn: Workers | None = None
        self._look()
        session.every(EVERY, self._look)

    def _look(self) -> None:
        self._session.background(workers_now, self._show, failed=self._fail)

    def _show(self, workers: Workers) -> None:
        if workers == self._drawn:
            return
        self._drawn = workers
        if workers.rows:
            self._table.show(workers.rows)
            self._place.objects = [muted(workers.place), self._table]
        else:
            self._place.objects = [empty(workers.place)]

    def _fail(self, text: str) -> None:
        self._drawn = None
        self._place.objects = [empty(text)]

    def __panel__(self) -> Viewable:
        return self._place
