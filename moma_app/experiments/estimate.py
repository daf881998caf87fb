"""How long a plan will take: from finished cells of the same kind, or from a learner's first guess."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from moma_app.experiments.cells import Cell
from moma_app.experiments.registry import get_learner
from moma_app.experiments.standing import PlanStatus
from moma_app.jobs.record import Record
from moma_app.work.cell import UNIT

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs


@dataclass(frozen=True)
class Estimate:
    """Time of the cells that are still to be done, one after another.

    Attributes:
        seconds: of all of them.
        cells: how many.
        measured: how many of them are known from finished cells of the same task, learner and kind
            of start; the others are the learner's guess.
    """

    seconds: float
    cells: int
    measured: int


def estimate(status: PlanStatus, jobs: Jobs) -> Estimate:
    """Return how long the missing and failed cells of a plan will take on one worker."""
    cells = {each.cell.digest: each.cell for each in status.of("missing", "failed")}
    past = [record for record in jobs.store.runs(states=["finished"], unit=UNIT) if record.seconds]
    seconds, measured = 0.0, 0
    for cell in cells.values():
        same = [record.seconds or 0.0 for record in past if _alike(record, cell)]
        if same:
            seconds, measured = seconds + median(same), measured + 1
        else:
            seconds += _guess(cell)
    return Estimate(seconds, len(cells), measured)


def _alike(record: Record, cell: Cell) -> bool:
    facts = record.facts
    return (
        record.task == cell.task
        and facts.get("learner") == cell.learner
        and (facts.get("method") == "bare") == (cell.method == "bare")
        and facts.get("shots") == str(cell.shots or "full")
    )


def _guess(cell: Cell) -> float:
    learner = get_learner(cell.learner)
    return learner.seconds(cell.size, learner.settings(cell.options))


def in_words(seconds: float) -> str:
    """Return a duration for people: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
