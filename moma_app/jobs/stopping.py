"""Stops a run that does not stop by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from moma_app.errors import MomaError
from moma_app.jobs.identity import Process
from moma_app.jobs.record import Record

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs

PATIENCE = 5.0
"""Seconds between asking a process to end and killing it."""


def stop_by_force(jobs: Jobs, record: Record) -> None:
    """Kill the process of a run and record the run as cancelled.

    Raises:
        MomaError: the process can be reached neither through Dask nor on this machine.
    """
    cluster = jobs.cluster_of(record)
    if cluster is not None and record.worker:
        cluster.drop(record.key)
        cluster.restart_worker(record.worker)
    elif record.process is not None and record.process.here and record.process != Process.this():
        _kill(record.process)
    else:
        raise MomaError(
            f"Run {record.id[:8]} does not stop, and its process on {record.host} cannot be reached from here: "
            f"end it there{f' (process {record.process.pid})' if record.process else ''}."
        )
    jobs.store.change(
        record.id,
        "cancelled",
        message="It was stopped by force; `moma runs resume` goes on.",
        ended=time.time(),
    )


def _kill(process: Process) -> None:
    if not process.lives():
        return
    found = psutil.Process(process.pid)
    family = [found, *found.children(recursive=True)]
    for member in family:
        member.terminate()
    _, left = psutil.wait_procs(family, timeout=PATIENCE)
    for member in left:
        member.kill()
    psutil.wait_procs(left, timeout=PATIENCE)
