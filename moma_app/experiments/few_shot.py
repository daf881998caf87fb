"""Few-shot learning (Figure 5 of the MoMa paper): error against the number of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import ClassVar

from pydantic import Field, field_validator

from moma_app.experiments.cells import Cell, rows_of
from moma_app.experiments.methods import get_method
from moma_app.experiments.plan import Plan, Row
from moma_app.experiments.results import CellResult
from moma_app.experiments.statistics import spread
from moma_app.tasks import get_task

Shots = int | None
"""Number of training rows; ``None`` is all of them."""


class FewShot(Plan):
    """Methods at several numbers of training rows.

    A number that a task's split does not have more train rows than is left out for that split.
    """

    name: ClassVar[str] = "few-shot"

    methods: tuple[str, ...] = Field(default=("amc", "bare"), description="What learners start from.")
    shots: tuple[Shots, ...] = Field(
        default=(10, 100, None), description="Numbers of training rows; none means all of them."
    )

    @field_validator("methods")
    @classmethod
    def _known(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(get_method(name).name for name in values))

    @field_validator("shots")
    @classmethod
    def _ascending(cls, values: tuple[Shots, ...]) -> tuple[Shots, ...]:
        numbers = sorted({value for value in values if value is not None})
        if not values or (numbers and numbers[0] < 1):
            raise ValueError("at least one number of 1 or more is needed")
        return (*numbers, None) if None in values else tuple(numbers)

    def cells(self) -> list[Cell]:
        """Return the cells, by number of rows, then by task, learner, method, split and seed."""
        amc = self.composition()
        return [
            cell
            for shots in self.shots
            for cell in self.each(self.methods, amc, shots=shots)
            if shots is None or shots < rows_of(cell.task, cell.split)[0]
        ]

    def table(self, results: Sequence[CellResult]) -> list[Row]:
        """Return a line for each task, learner, method and number of rows.

        ``mae`` is the mean over splits and seeds in the task's unit, ``mae_std`` their standard
        deviation, ``train_rows`` the number on the axis: of all rows the mean over the splits.
        """
        rows: list[Row] = []
        for task, learner, method, shots in product(self.tasks, self.learners, self.methods, self.shots):
            same = [
                result
                for result in results
                if (result.cell.task, result.cell.learner, result.cell.method, result.cell.shots)
                == (task, learner, method, shots)
            ]
            error = spread([result.mae for result in same if result.mae is not None])
            size = spread([result.cell.size.train for result in same])
            if error is not None and size is not None:
                rows.append(
                    {
                        "task": task,
                        "unit": get_task(task).spec.unit,
                        "learner": learner,
                        "method": method,
                        "shots": shots,
                        "train_rows": size.mean,
                        "mae": error.mean,
                        "mae_std": error.std,
                        "n": error.n,
                    }
                )
        return rows
