"""The light in the header: how many runs work or wait, with a link to them."""

from __future__ import annotations

import threading
import time

import panel_material_ui as pmui

from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.jobs.states import OPEN

EVERY = 3000
"""Milliseconds between two looks."""
FRESH = 2.0
"""Seconds for which all sessions share one look into the store."""


class RunsLight:
    """A chip that says how many runs are open."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.view = pmui.Button(
            label="No run",
            icon="circle",
            variant="text",
            size="small",
            href=session.link("runs"),
            margin=(8, 8),
            sx={"color": "inherit"},
        )
        self._look()
        session.every(EVERY, self._look)

    def _look(self) -> None:
        self._session.background(count_open, self._show, failed=lambda _: None)

    def _show(self, count: int) -> None:
        self.view.label = "No run" if not count else f"{count} run{'s' if count > 1 else ''}"
        self.view.icon = "play_circle" if count else "circle"


_LOCK = threading.Lock()
_LAST: tuple[float, int] = (0.0, 0)


def count_open() -> int:
    """Return how many runs wait or work; looked up once for all sessions."""
    global _LAST  # noqa: PLW0603 - one number for the whole server
    with _LOCK:
        if time.monotonic() - _LAST[0] > FRESH:
            _LAST = (time.monotonic(), len(get_jobs().store.runs(states=sorted(OPEN))))
        return _LAST[1]
