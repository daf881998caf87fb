"""Plans: what an experiment is, as a value that can be kept, compared, sent, and started again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from moma_app.errors import DataNotFoundError, InputError, UnknownNameError
from moma_app.experiments.cells import Cell
from moma_app.experiments.methods import get_method
from moma_app.experiments.registry import get_learner
from moma_app.tasks import get_task
from moma_app.work.composing import AMC

if TYPE_CHECKING:
    from moma_app.experiments.results import CellResult
    from moma_app.jobs.jobs import Jobs

Row = dict[str, Any]
"""A line of a table: plain values by column."""


class Plan(BaseModel, ABC):
    """What all plans share: which tasks, rows, learners, and which hub is composed from.

    A plan is frozen and goes to JSON and back (:meth:`to_dict`, :meth:`from_dict`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    """As commands have it."""

    tasks: tuple[str, ...] = Field(description="Names of the downstream tasks.")
    splits: tuple[int, ...] = Field(default=(0,), description="Seeds of the splits; 0 to 4 are published.")
    seeds: tuple[int, ...] = Field(default=(0,), description="Seeds of weights, batches and drawn rows.")
    learners: tuple[str, ...] = Field(default=("instant",), description="What learns.")
    hub: str | None = Field(
        default=None, description="A hub's name or folder, builtin, or yours and the built-in."
    )
    modules: tuple[str, ...] | None = Field(default=None, description="Only these modules of the hub.")
    kind: Literal["full", "adapter"] = Field(default="full", description="Full modules or adapters.")
    backbone: str | None = Field(default=None, description="Only modules of this backbone.")
    k: int = Field(default=5, ge=1, description="Neighbours of the kNN estimate (Eq. 1).")
    temperature: float = Field(default=0.2, gt=0, description="T of the kNN estimate (Eq. 1).")
    options: dict[str, dict[str, Any]] = Field(default={}, description="Settings of learners, by name.")

    @field_validator("tasks", "splits", "seeds", "learners")
    @classmethod
    def _some_and_each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            raise ValueError("at least one is needed")
        return tuple(dict.fromkeys(values))

    @field_validator("splits", "seeds")
    @classmethod
    def _no_negative_seed(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if min(values) < 0:
            raise ValueError("a seed must be 0 or more")
        return values

    @model_validator(mode="after")
    def _options_of_its_learners(self) -> Self:
        for name in self.options:
            if name not in self.learners:
                raise UnknownNameError("learner in this plan", name, self.learners)
        return self

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Make a plan of values that somebody gave.

        Raises:
            UnknownNameError: a setting does not exist.
            InputError: a value cannot be used; says which and why.
        """
        for name in values:
            if name not in cls.model_fields:
                raise UnknownNameError(f"setting of the plan {cls.name}", name, cls.model_fields)
        try:
            return cls(**values)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            reason = str(first["msg"]).removeprefix("Value error, ")
            raise InputError(
                f"The plan's {'.'.join(map(str, first['loc']))} cannot be {first['input']!r}: "
                f"{reason[0].lower()}{reason[1:]}."
            ) from exc

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {"plan": self.name, **self.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a plan of this class from :meth:`to_dict`.

        Raises:
            InputError: it is another plan's, or a value cannot be used.
        """
        values = dict(data)
        if values.pop("plan", cls.name) != cls.name:
            raise InputError(f"This is no plan of an experiment {cls.name}: {data['plan']!r}.")
        return cls.make(**values)

    @abstractmethod
    def cells(self) -> list[Cell]:
        """Return all cells.

        Raises:
            UnknownNameError: a name is not known.
            InputError: they do not go together.
            DataNotFoundError: a task's data is not on this machine.
        """

    @abstractmethod
    def table(self, results: Sequence[CellResult]) -> list[Row]:
        """Return the plan's table from what has finished."""

    def answered(self, cells: Sequence[Cell], jobs: Jobs) -> dict[str, str]:
        """Return runs of other work that give what a cell would, by the cell's digest."""
        return {}

    # -- for the plans themselves ----------------------------------------------------------------

    def composition(self, modules: Sequence[str] | None = None) -> AMC:
        """Return the settings of the plan's compositions as the hub stands now.

        Args:
            modules: only these; by default the plan's own.
        """
        chosen = self.modules if modules is None else modules
        asked = AMC(
            hub=self.hub,
            modules=None if chosen is None else list(chosen),
            kind=self.kind,
            backbone=self.backbone,
            k=self.k,
            temperature=self.temperature,
        )
        settled = asked.settled()
        if not settled.modules:
            where = self.hub or "your hub and the built-in one"
            raise InputError(
                f"There is no {self.kind} module to compose in {where}: train or pull some first."
            )
        return settled.with_backbone()

    def each(
        self, methods: Sequence[str], amc: AMC, *, shots: int | None = None, group: str = ""
    ) -> Iterator[Cell]:
        """Yield a cell for each task, learner, method, split and seed.

        What a learner cannot start from is left out, if another learner can.

        Args:
            methods: what learners start from.
            amc: settings of the compositions, settled.
            shots, group: of all these cells.

        Raises:
            InputError: no learner can start from a method.
        """
        for task in self.tasks:
            check_task(task)
        learners = [get_learner(name) for name in self.learners]
        for method in map(get_method, methods):
            if not any(learner.accepts(method) for learner in learners):
                raise InputError(
                    f"The method {method.name} is not for the learner {' or '.join(self.learners)}."
                )
        for task, learner, method, split, seed in product(
            self.tasks, learners, map(get_method, methods), self.splits, self.seeds
        ):
            if learner.accepts(method):
                options = self.options.get(learner.name, {})
                yield Cell(task, learner.name, method.name, split, seed, shots, amc, options, group)


def check_task(name: str) -> None:
    """Refuse a task that an experiment cannot use.

    Raises:
        UnknownNameError: there is no such task.
        InputError: a classification.
        DataNotFoundError: its data is not on this machine.
    """
    task = get_task(name)
    if task.spec.kind == "classification":
        raise InputError(
            f"Task {name} is a classification; the estimate of modules is defined for numbers only."
        )
    if not task.available:
        raise DataNotFoundError(
            f"The data of {name} is not on this machine: run `moma tasks fetch {name}`, or set MOMA_DATA."
        )
