"""How a plan stands, how it is started and stopped, and its table so far. The same for all plans."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from moma_app.errors import InputError
from moma_app.experiments.cells import Cell
from moma_app.experiments.plan import Plan, Row
from moma_app.experiments.results import CellResult
from moma_app.files import lock_for
from moma_app.jobs.batch import begin_all
from moma_app.jobs.listing import by_digest
from moma_app.progress import Listener, Step, silent
from moma_app.work.cell import UNIT
from moma_app.work.modules import one_look

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.record import Record

Standing = Literal["done", "running", "queued", "failed", "missing"]
"""How a cell stands. A run that was cancelled or interrupted counts as missing: starting the plan resumes it."""
_STANDING: dict[str, Standing] = {
    "finished": "done",
    "running": "running",
    "queued": "queued",
    "failed": "failed",
}
PAUSE = 1.0
"""Seconds between two looks at a plan that somebody waits for."""


@dataclass(frozen=True)
class CellRun:
    """A cell and the run that stands for it.

    Attributes:
        cell: the cell.
        standing: how it stands.
        run: id of its run; empty if there is none.
        message: why it failed, or what was the matter.
        fraction: of a running cell, how much is done, if known.
    """

    cell: Cell
    standing: Standing
    run: str = ""
    message: str = ""
    fraction: float | None = None


@dataclass(frozen=True)
class PlanStatus:
    """How the cells of a plan stand."""

    cells: tuple[CellRun, ...]

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(cell.standing for cell in self.cells)

    @property
    def total(self) -> int:
        """All cells."""
        return len(self.cells)

    @property
    def done(self) -> int:
        """Cells that have finished."""
        return self._counts["done"]

    @property
    def running(self) -> int:
        """Cells that are worked on, or wait for a worker."""
        return self._counts["running"] + self._counts["queued"]

    @property
    def failed(self) -> int:
        """Cells that ended by an error."""
        return self._counts["failed"]

    @property
    def missing(self) -> int:
        """Cells that nobody has begun, or that were stopped."""
        return self._counts["missing"]

    def of(self, *standings: Standing) -> list[CellRun]:
        """Return the cells that stand so."""
        return [cell for cell in self.cells if cell.standing in standings]

    def counts(self) -> dict[str, int]:
        """Return the counts by name, JSON-ready."""
        names = ("total", "done", "running", "failed", "missing")
        return {name: getattr(self, name) for name in names}

    def describe(self) -> str:
        """Return the counts in words."""
        parts = [f"{self.done} of {self.total} cells done"]
        for count, what in ((self.running, "running"), (self.failed, "failed"), (self.missing, "missing")):
            if count:
                parts.append(f"{count} {what}")
        return ", ".join(parts)


def progress(plan: Plan, jobs: Jobs) -> PlanStatus:
    """Return how a plan stands, from one look into the store.

    Raises:
        MomaError: the plan's cells cannot be listed, see :meth:`Plan.cells`.
    """
    return _status(plan, _cells(plan), jobs)


def _status(plan: Plan, cells: Sequence[Cell], jobs: Jobs) -> PlanStatus:
    answered = plan.answered(cells, jobs)
    return PlanStatus(
        tuple(
            CellRun(cell, "done", answered[cell.digest]) if cell.digest in answered else _run_of(cell, record)
            for cell, record in _records(cells, jobs)
        )
    )


def start(plan: Plan, jobs: Jobs, listener: Listener = silent) -> list[str]:
    """Start the cells of a plan that are missing or failed, and do not wait for them.

    Cells that have finished, or that somebody has started already, are left alone. With the engine
    ``inline`` each cell is done before this returns.

    Args:
        plan: what to do.
        jobs: where.
        listener: gets a ``Step`` for each cell that was begun, and the events of inline runs.

    Returns:
        Ids of the runs that were started or resumed.
    """
    # Two pages may start the same plan; inline cells take long, and each is looked up when its turn comes.
    lock = nullcontext() if jobs.engine == "inline" else lock_for(jobs.settings.home / "experiments")
    with lock:
        status = progress(plan, jobs)
        open_cells = {each.cell.digest: each.cell for each in status.of("missing", "failed")}
        begun: list[str] = []
        for _, run in begin_all(jobs, [cell.spec for cell in open_cells.values()], listener):
            begun.append(run)
            share = len(begun) / len(open_cells)
            listener(Step(what="cells begun", done=len(begun), total=len(open_cells), fraction=share))
    return begun


def stop(plan: Plan, jobs: Jobs) -> list[str]:
    """Cancel the open runs of a plan, those that wait first; what has finished stays.

    Returns:
        Ids of the runs that were stopped.
    """
    status = progress(plan, jobs)
    stopped: list[str] = []
    for run in dict.fromkeys(each.run for each in [*status.of("queued"), *status.of("running")]):
        with suppress(InputError):  # it has ended in the meantime
            jobs.cancel(run)
            stopped.append(run)
    return stopped


def results(plan: Plan, jobs: Jobs) -> list[CellResult]:
    """Return what the plan's finished cells gave, in the order of its cells."""
    return [
        CellResult.of(cell, record)
        for cell, record in _records(_cells(plan), jobs)
        if record is not None and record.state == "finished"
    ]


def table(plan: Plan, jobs: Jobs) -> list[Row]:
    """Return the plan's table from whatever has finished so far."""
    return plan.table(results(plan, jobs))


def run(plan: Plan, jobs: Jobs, listener: Listener = silent) -> PlanStatus:
    """Do a plan to its end: start what is missing and wait. Ctrl-C stops its runs and is raised again.

    Args:
        plan: what to do.
        jobs: where.
        listener: gets a ``Step`` whenever a cell has ended.
    """
    try:
        start(plan, jobs, listener)
        cells, told = _cells(plan), -1
        while True:
            status = _status(plan, cells, jobs)
            ended = status.total - status.running
            if ended != told:
                told = ended
                share = ended / max(status.total, 1)
                listener(Step(what="cells", done=ended, total=status.total, fraction=share))
            if not status.running:
                return status
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        stop(plan, jobs)
        raise


def _cells(plan: Plan) -> list[Cell]:
    """Return a plan's cells with their runs described, from one look at the hub."""
    with one_look():
        cells = plan.cells()
        for cell in cells:
            _ = cell.digest
    return cells


def _records(cells: Sequence[Cell], jobs: Jobs) -> list[tuple[Cell, Record | None]]:
    found = by_digest(jobs, {cell.digest for cell in cells}, unit=UNIT)
    return [(cell, found.get(cell.digest)) for cell in cells]


def _run_of(cell: Cell, record: Record | None) -> CellRun:
    if record is None:
        return CellRun(cell, "missing")
    standing = _STANDING.get(record.state, "missing")
    return CellRun(cell, standing, record.id, record.message, record.fraction)
