"""One cell of an experiment: a learner on a task, split and seed, from a start; as a run of the job layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from moma_app.errors import InputError
from moma_app.experiments.methods import get_method
from moma_app.experiments.registry import Asked, Size, get_learner
from moma_app.jobs.spec import RunSpec
from moma_app.tasks import Task, get_task
from moma_app.work.cell import cell_spec
from moma_app.work.composing import AMC


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        task, split, seed, shots: which rows; ``shots`` is ``None`` for all train rows.
        learner: what learns.
        method: what it starts from.
        amc: settings of the composition, with all names settled.
        options: of the learner.
        group: tells cells of one plan apart that differ in nothing else of these ("before", "after");
            it does not change the work.
    """

    task: str
    learner: str
    method: str = "amc"
    split: int = 0
    seed: int = 0
    shots: int | None = None
    amc: AMC = field(default_factory=AMC)
    options: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""

    @property
    def label(self) -> str:
        """The cell in words."""
        shots = f", {self.shots} shots" if self.shots else ""
        group = f" ({self.group})" if self.group else ""
        return f"{self.task}, split {self.split}{shots}: {self.learner}, {self.method}{group}"

    @cached_property
    def spec(self) -> RunSpec:
        """The run that does this cell.

        Raises:
            UnknownNameError: task, learner, method, option or module does not exist.
            InputError: the learner cannot start from what the method gives.
        """
        learner, method = get_learner(self.learner), get_method(self.method)
        if not learner.accepts(method):
            raise InputError(
                f"The learner {self.learner} cannot start from {method.name!r}: it begins with "
                f"{' or '.join(sorted(learner.starts))}."
            )
        asked = Asked(
            task=get_task(self.task),
            split=self.split,
            seed=self.seed,
            shots=self.shots,
            start=method.start,
            amc=method.settings(self.amc),
            options=learner.settings(self.options),
        )
        return cell_spec(learner.describe(asked), learner=learner.name, method=method.name)

    @cached_property
    def digest(self) -> str:
        """Shared by cells that are the same work, of this plan or another."""
        return self.spec.digest

    @property
    def size(self) -> Size:
        """How much work the cell is."""
        method = get_method(self.method)
        modules = len(method.settings(self.amc).modules or ()) if method.start == "composed" else 0
        train, others = rows_of(self.task, self.split)
        train = train if self.shots is None else self.shots
        return Size(rows=train + others, train=train, modules=modules)


def rows_of(task: str, split: int) -> tuple[int, int]:
    """Return how many train rows, and how many validation and test rows a task's split has.

    Raises:
        DataNotFoundError: the task's data is not on this machine.
    """
    source = get_task(task)
    return _rows_of(
        source, split, tuple((str(path), path.stat().st_mtime_ns) for path in source.files().values())
    )


@lru_cache(maxsize=1024)
def _rows_of(task: Task, split: int, _state: tuple[tuple[str, int], ...]) -> tuple[int, int]:
    parts = task.split(split)
    return len(parts.train), len(parts.val) + len(parts.test)
