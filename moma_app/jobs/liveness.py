"""Finds runs that cannot go on because their process is gone, and says so in the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from moma_app.errors import MomaError
from moma_app.jobs.record import Record
from moma_app.jobs.states import State

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs

HELD = ("waiting", "no-worker", "queued", "processing")
"""Dask's states of an order that is still to be done."""
NOT_BEGUN = "It was stopped before it began."
HANDING_OVER = 120.0
"""Seconds that it may take to start workers and hand an order over."""
HANDED_OVER = 15.0
"""Seconds after which an order has surely reached its scheduler."""


def settle(jobs: Jobs, record: Record) -> Record:
    """Return a run in its true state, and record it.

    A running run whose process is gone is queued again if its scheduler is about to give it to
    another worker, and interrupted otherwise. A queued run that nobody will begin is interrupted.
    """
    return settle_all(jobs, [record])[0]


def settle_all(jobs: Jobs, records: Sequence[Record]) -> list[Record]:
    """Do what :func:`settle` does for many runs; each scheduler is asked once, about all of its runs."""
    orders = _Orders(jobs, records)
    return [_settled(jobs, record, orders) for record in records]


class _Orders:
    """Which runs their schedulers still have; asked when the first run needs to know."""

    def __init__(self, jobs: Jobs, records: Sequence[Record]) -> None:
        self._jobs = jobs
        self._records = records
        self._held: dict[str, set[str]] = {}

    def held(self, record: Record) -> bool:
        """Return whether the run's scheduler lives and still has the run."""
        if record.scheduler not in self._held:
            self._held[record.scheduler] = self._ask(record)
        return record.key in self._held[record.scheduler]

    def _ask(self, record: Record) -> set[str]:
        keys = [other.key for other in self._records if other.scheduler == record.scheduler]
        try:
            cluster = self._jobs.cluster_of(record)
            states = {} if cluster is None else cluster.states(keys)
        except (MomaError, OSError):  # it ended while it was asked
            return set()
        return {key for key, state in states.items() if state in HELD}


def _settled(jobs: Jobs, record: Record, orders: _Orders) -> Record:
    now = time.time()
    if record.state == "running" and record.silent_for(now):
        return _without_process(jobs, record, orders)
    if record.state == "queued":
        return _without_scheduler(jobs, record, now, orders)
    return record


def _without_process(jobs: Jobs, record: Record, orders: _Orders) -> Record:
    if orders.held(record):
        return _change(jobs, record, "queued", "Its worker is gone; it waits for another one.")
    if record.cancelling is not None:
        return _change(jobs, record, "cancelled", "It was stopped by force; `moma runs resume` goes on.")
    where = f"process {record.process.pid} on {record.host}" if record.process else "its process"
    return _interrupt(jobs, record, f"{where} is gone", "goes on")


def _without_scheduler(jobs: Jobs, record: Record, now: float, orders: _Orders) -> Record:
    if not record.scheduler:
        if not _asker_gone(record, now):
            return record
        return _interrupt(jobs, record, "Who asked for it ended before it was handed over", "does so")
    waiting_since = max(record.handed_over or now, record.heartbeat or 0)
    if now - waiting_since < HANDED_OVER or orders.held(record):
        return record
    # The worker may have begun, or even ended, since the record was read.
    if (present := jobs.store.get(record.id)).state != "queued":
        return present
    if present.cancelling is not None:  # who cancels takes the order back first, and then writes it down
        return _change(jobs, record, "cancelled", NOT_BEGUN)
    return _interrupt(jobs, record, "Its scheduler is gone", "queues it anew")


def _interrupt(jobs: Jobs, record: Record, why: str, remedy: str) -> Record:
    message = f"{why}; `moma runs resume {record.id[:8]}` {remedy}."
    return _change(jobs, record, "interrupted", message[0].upper() + message[1:])


def _asker_gone(record: Record, now: float) -> bool:
    if record.process is not None and record.process.here:
        return not record.process.lives()
    return record.queued is not None and now - record.queued > HANDING_OVER


def _change(jobs: Jobs, record: Record, state: State, message: str) -> Record:
    others = {"process": ""} if state == "queued" else {"ended": record.heartbeat or time.time()}
    jobs.store.change(record.id, state, message=message, **others)
    return jobs.store.get(record.id)
