"""Ablation (Figure 4 of the MoMa paper): AMC beside simpler ways to choose and weigh modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from pydantic import Field, field_validator

from moma_app.experiments.cells import Cell
from moma_app.experiments.methods import ABLATION, get_method
from moma_app.experiments.plan import Plan, Row
from moma_app.experiments.results import CellResult, by_place
from moma_app.experiments.statistics import percent, spread
from moma_app.tasks import get_task

REFERENCE = "amc"


class Ablation(Plan):
    """Every method on every task, split and seed; AMC is always among them."""

    name: ClassVar[str] = "ablation"

    methods: tuple[str, ...] = Field(default=ABLATION, description="What learners start from.")
    shots: int | None = Field(default=None, ge=1, description="Use so many training rows only.")

    @field_validator("methods")
    @classmethod
    def _known_with_the_reference(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([REFERENCE, *(get_method(name).name for name in values)]))

    def cells(self) -> list[Cell]:
        """Return the cells, by task, learner, method, split and seed."""
        return list(self.each(self.methods, self.composition(), shots=self.shots))

    def table(self, results: Sequence[CellResult]) -> list[Row]:
        """Return a line for each task, learner and method.

        ``mae`` and ``mae_std`` are over splits and seeds, in the task's unit. ``difference`` is the mean
        of the differences to AMC in % of AMC's error, each on the same split and seed, and
        ``difference_std`` their standard deviation: positive is worse than AMC.
        """
        found = by_place(results)
        rows: list[Row] = []
        for task, learner, method in product(self.tasks, self.learners, self.methods):
            places = [
                (task, learner, name, "", self.shots, split, seed)
                for split, seed in product(self.splits, self.seeds)
                for name in (method, REFERENCE)
            ]
            errors = [_mae(found, place) for place in places]
            own, reference = errors[::2], errors[1::2]
            absolute = spread([error for error in own if error is not None])
            relative = spread(
                [
                    difference
                    for error, other in zip(own, reference, strict=True)
                    if error is not None and other is not None
                    if (difference := percent(error, other)) is not None
                ]
            )
            if absolute is not None:
                rows.append(
                    {
                        "task": task,
                        "unit": get_task(task).spec.unit,
                        "learner": learner,
                        "method": method,
                        "mae": absolute.mean,
                        "mae_std": absolute.std,
                        "n": absolute.n,
                        "difference": None if relative is None else relative.mean,
                        "difference_std": None if relative is None else relative.std,
                        "pairs": 0 if relative is None else relative.n,
                    }
                )
        return rows


def _mae(found: dict[tuple[object, ...], CellResult], place: tuple[object, ...]) -> float | None:
    return found[place].mae if place in found else None


@dataclass(frozen=True)
class AblationSummary:
    """A method against AMC over all tasks.

    Attributes:
        learner, method: which.
        worse_in: tasks on which its mean error is higher than AMC's.
        tasks: tasks that both have results for.
        difference: mean over these tasks of the difference to AMC in %.
    """

    learner: str
    method: str
    worse_in: int
    tasks: int
    difference: float


def summarise(rows: Sequence[Row]) -> list[AblationSummary]:
    """Return how each method compares with AMC over the tasks of an ablation's table."""
    found: list[AblationSummary] = []
    for learner, method in dict.fromkeys((row["learner"], row["method"]) for row in rows):
        differences = [
            row["difference"]
            for row in rows
            if (row["learner"], row["method"]) == (learner, method) and row["difference"] is not None
        ]
        if method != REFERENCE and differences:
            worse = sum(difference > 0 for difference in differences)
            mean = sum(differences) / len(differences)
            found.append(AblationSummary(learner, method, worse, len(differences), mean))
    return found
