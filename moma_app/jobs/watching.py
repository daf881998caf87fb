"""Follows a run's events from any process, to its end."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from moma_app.jobs.events import EVENTS, Numbered, Reader
from moma_app.jobs.liveness import settle
from moma_app.progress import RunChanged

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.record import Record

PAUSE = 0.05
LOOK_EVERY = 1.0
"""Seconds between two looks into the store."""


def watch(jobs: Jobs, run_id: str, stop: Callable[[], bool] | None = None) -> Iterator[Numbered]:
    """Yield a run's events from the first one on, in order, until it ends.

    They are read from the run's folder, or come through Dask's scheduler if the worker has a disk of
    its own. While the run waits for a worker that is told too, as number -1, which is not kept. The
    last event is always a ``RunChanged`` with the run's last state, whoever wrote it, unless ``stop``
    says that nobody listens any more.
    """
    reader = Reader(jobs.folder(run_id) / EVENTS)
    distant: queue.SimpleQueue[Numbered] | None = None
    last: Numbered | None = None
    next_look = 0.0
    waiting: str | None = None
    ended = False
    while True:
        for entry in _arrived(reader, distant):
            last = entry
            yield entry
        if ended:
            break
        if stop is not None and stop():
            return
        told_end = last is not None and isinstance(last.event, RunChanged) and last.event.fraction == 1
        if told_end or time.monotonic() >= next_look:
            record = settle(jobs, jobs.store.get(run_id))
            ended = not record.open
            if record.state == "queued" and record.message != waiting:
                waiting = record.message
                yield Numbered(-1, time.time(), RunChanged(state="queued", message=waiting))
            if record.channel == "dask" and distant is None:
                cluster = jobs.cluster_of(record)
                if cluster is not None:
                    distant = cluster.listen(run_id)
                    ended = False  # what it has told is still to come
            next_look = time.monotonic() + LOOK_EVERY
        if not ended:
            time.sleep(PAUSE)
    yield from _last_word(jobs.store.get(run_id), last)


def _last_word(record: Record, last: Numbered | None) -> Iterator[Numbered]:
    """Yield the run's last state if nobody has told it."""
    state = last.event.state if last is not None and isinstance(last.event, RunChanged) else None
    if state != record.state:
        number = 0 if last is None else last.number + 1
        yield Numbered(
            number, time.time(), RunChanged(state=record.state, message=record.message, fraction=1.0)
        )


def _arrived(reader: Reader, distant: queue.SimpleQueue[Numbered] | None) -> Iterator[Numbered]:
    yield from reader.new()
    while distant is not None and not distant.empty():
        yield distant.get()
