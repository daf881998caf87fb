"""Events of runs, read once for all pages that show them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dashboards.services import get_jobs
from moma_app.progress import Event, RunChanged

if TYPE_CHECKING:
    from dashboards.session import Session

LOG = logging.getLogger("moma.dashboard")
KEEP = 30.0
"""Seconds that a run is followed on after the last page that showed it has gone."""
PERIOD = 200
"""Milliseconds between two updates of a page."""


class Feed:
    """All events of one run so far; followed in a thread as long as a page shows it.

    Attributes:
        run_id: of the run.
        error: why it can no longer be followed; empty if it can.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.error = ""
        self._events: list[Event] = []
        self._listeners = 0
        self._idle_since = time.monotonic()
        self._over = False
        threading.Thread(target=self._follow, name=f"feed {run_id[:8]}", daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether nothing will be added."""
        return self._over

    def since(self, position: int) -> list[Event]:
        """Return the events from a position on."""
        return self._events[position:]

    def join(self) -> None:
        """Count a page that shows the run."""
        self._listeners += 1

    def leave(self) -> None:
        """Count a page that no longer does."""
        self._listeners -= 1
        self._idle_since = time.monotonic()

    def _unwatched(self) -> bool:
        return self._listeners <= 0 and time.monotonic() - self._idle_since > KEEP

    def _follow(self) -> None:
        try:
            for entry in get_jobs().watch(self.run_id, stop=self._unwatched):
                self._events.append(entry.event)
        except Exception as exc:
            LOG.exception("Run %s cannot be followed", self.run_id)
            self.error = str(exc)
        self._over = True
        with _LOCK:
            if _FEEDS.get(self.run_id) is self:
                del _FEEDS[self.run_id]


_FEEDS: dict[str, Feed] = {}
_LOCK = threading.Lock()


def feed_of(run_id: str) -> Feed:
    """Return the feed of a run, shared by all pages; counts the caller as a listener."""
    with _LOCK:
        feed = _FEEDS.get(run_id)
        if feed is None or feed.over:
            feed = _FEEDS[run_id] = Feed(run_id)
        feed.join()
        return feed


class RunWatch:
    """Gives a page the events of a run as they come, in order, from the first one on.

    Args:
        session: of the page.
        run_id: of the run.
        on_events: is called in the page with the events that are new.
        on_end: is called in the page with the run's last state, once.
    """

    def __init__(
        self,
        session: Session,
        run_id: str,
        on_events: Callable[[list[Event]], None],
        on_end: Callable[[RunChanged], None],
    ) -> None:
        self.run_id = run_id
        self._session = session
        self._on_events, self._on_end = on_events, on_end
        self._feed = feed_of(run_id)
        self._position = 0
        self._closed = False
        self._stop = session.every(PERIOD, self._look)
        session.at_end(self.close)

    def close(self) -> None:
        """Stop watching; the run goes on."""
        if self._closed:
            return
        self._closed = True
        self._stop()
        self._feed.leave()

    def _look(self) -> None:
        if self._closed:
            return
        over = self._feed.over
        new = self._feed.since(self._position)
        self._position += len(new)
        if new:
            self._on_events(new)
        if not over:
            return
        self.close()
        if self._feed.error:
            self._session.fail(self._feed.error)
            return
        states = [event for event in self._feed.since(0) if isinstance(event, RunChanged)]
        self._on_end(states[-1] if states else RunChanged(state="interrupted"))
