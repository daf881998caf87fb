"""What finished cells gave, as plain values for tables and figures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moma_app.experiments.cells import Cell
from moma_app.experiments.plan import Row
from moma_app.tasks import get_task
from moma_app.work.cell import UNIT

if TYPE_CHECKING:
    import pandas as pd

    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.record import Record

TEST = "test_"
"""Prefix of a run's metrics of the test rows."""


@dataclass(frozen=True)
class CellResult:
    """A finished cell with its numbers.

    Attributes:
        cell: the cell.
        metrics: as the run recorded them.
        seconds: of the run.
        run: id of the run, whose artefacts have the composition and the test predictions.
        hardware: what it ran on.
    """

    cell: Cell
    metrics: dict[str, float]
    seconds: float
    run: str
    hardware: str = ""

    @classmethod
    def of(cls, cell: Cell, record: Record) -> CellResult:
        """Take a finished run as a cell's result."""
        return cls(cell, record.metrics, record.seconds or 0.0, record.id, record.facts.get("hardware", ""))

    @property
    def mae(self) -> float | None:
        """Test MAE in the task's unit; ``None`` where nothing was fitted."""
        return self.metrics.get("test_mae")

    def row(self) -> Row:
        """Return the cell's line in a table of single results."""
        cell = self.cell
        return {
            "task": cell.task,
            "unit": get_task(cell.task).spec.unit,
            "learner": cell.learner,
            "method": cell.method,
            "group": cell.group,
            "split": cell.split,
            "seed": cell.seed,
            "shots": cell.shots,
            **{name.removeprefix(TEST): value for name, value in self.metrics.items()},
            "seconds": self.seconds,
            "hardware": self.hardware,
            "run": self.run,
        }


def by_place(results: Iterable[CellResult]) -> dict[tuple[Any, ...], CellResult]:
    """Return results by (task, learner, method, group, shots, split, seed)."""
    return {
        (c.task, c.learner, c.method, c.group, c.shots, c.split, c.seed): result
        for result in results
        for c in (result.cell,)
    }


def all_rows(jobs: Jobs, *, tasks: Collection[str] = (), learners: Collection[str] = ()) -> list[Row]:
    """Return a line for every finished cell in the store, newest first, whatever plan it was of.

    Args:
        jobs: whose store.
        tasks, learners: only these, if any are named.
    """
    return [
        {
            "task": record.task,
            "learner": record.facts.get("learner", ""),
            "method": record.facts.get("method", ""),
            "split": int(record.facts.get("split", 0)),
            "shots": None if (shots := record.facts.get("shots", "full")) == "full" else int(shots),
            **{name.removeprefix(TEST): value for name, value in record.metrics.items()},
            "seconds": record.seconds,
            "hardware": record.facts.get("hardware", ""),
            "run": record.id,
        }
        for record in jobs.store.runs(states=["finished"], unit=UNIT)
        if (not tasks or record.task in tasks) and (not learners or record.facts.get("learner") in learners)
    ]


def to_dataframe(rows: Sequence[Row]) -> pd.DataFrame:
    """Return a table's rows as a data frame."""
    import pandas as pd

    return pd.DataFrame(list(rows))
