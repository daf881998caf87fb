"""Finds runs that cannot go on because their process is gone, and says so in the store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from moma_app.errors import MomaError
from moma_app.jobs.record import Record

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs

HELD = ("waiting", "no-worker", "queued", "processing")
"""Dask's states of an order that is still to be done."""
HANDED_OVER = 15.0
"""Seconds after which an order has surely reached its scheduler."""


def settle(jobs: Jobs, record: Record) -> Record:
    """Return a run in its true state, and record it.

    A running run whose process is gone is queued again if its scheduler is about to give it to
    another worker, and interrupted otherwise. A queued run whose scheduler is gone is interrupted.
    """
    now = time.time()
    if record.state == "running" and record.silent_for(now):
        if _held(jobs, record):
            return _change(jobs, record, "queued", "Its worker is gone; it waits for another one.")
        if record.cancelling is not None:
            return _change(jobs, record, "cancelled", "It was stopped by force; `moma runs resume` goes on.")
        where = f"process {record.process.pid} on {record.host}" if record.process else "its process"
        return _change(
            jobs, record, "interrupted", f"{where} is gone; `moma runs resume {record.id[:8]}` goes on."
        )
    waiting_since = max(record.handed_over or now, record.heartbeat or 0)
    waits = record.state == "queued" and bool(record.scheduler)
    if waits and now - waiting_since > HANDED_OVER and not _held(jobs, record):
        # The worker may have begun, or even ended, since the record was read.
        if (present := jobs.store.get(record.id)).state != "queued":
            return present
        return _change(
            jobs,
            record,
            "interrupted",
            f"Its scheduler is gone; `moma runs resume {record.id[:8]}` queues it anew.",
        )
    return record


def _held(jobs: Jobs, record: Record) -> bool:
    """Return whether the run's scheduler lives and still has the run."""
    try:
        cluster = jobs.cluster_of(record)
        return cluster is not None and cluster.state(record.key) in HELD
    except MomaError:
        return False


def _change(jobs: Jobs, record: Record, state: str, message: str) -> Record:
    jobs.store.change(
        record.id,
        state,  # type: ignore[arg-type]
        message=message,
        **({"ended": record.heartbeat or time.time()} if state != "queued" else {"process": ""}),
    )
    return jobs.store.get(record.id)
