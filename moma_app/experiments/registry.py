"""Learners: what turns a task's rows and a start into a tested predictor. Any installed package can add one.

A learner does not learn here: it describes the work as a run of the job layer. So a new one is a unit of
work (:mod:`moma_app.jobs.registry`) and a :class:`Learner` that is declared as an entry point of the group
``moma_app.learners``; plans, runners, commands and pages take it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from moma_app.errors import IncompatibleError, InputError, MissingDependencyError, UnknownNameError
from moma_app.experiments.methods import Method, Start
from moma_app.jobs.spec import RunSpec
from moma_app.work.composing import AMC

if TYPE_CHECKING:
    from moma_app.tasks.task import Task

GROUP = "moma_app.learners"


class Options(BaseModel):
    """A learner's own settings; the base has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Asked:
    """What a learner is asked to describe.

    Attributes:
        task: the task.
        split, seed, shots: which rows.
        start: what to begin with.
        amc: settings of the composition, of a composed start; else its backbone counts alone.
        options: of the learner.
    """

    task: Task
    split: int
    seed: int
    shots: int | None
    start: Start
    amc: AMC
    options: Options


@dataclass(frozen=True)
class Size:
    """How much work a cell is.

    Attributes:
        rows: of the task that are trained on, validated and tested.
        train: rows that are trained on.
        modules: that the composition encodes with, 0 without one.
    """

    rows: int
    train: int
    modules: int


@dataclass(frozen=True)
class Learner:
    """One learner.

    Attributes:
        name: as plans and commands have it.
        label: for people.
        summary: what it does, in one sentence.
        describe: returns the run that does a cell; its unit returns what ``compose`` and
            ``finetune`` do: ``fit`` (a ``FitReport`` or ``None``), ``composition``, ``metrics``.
        seconds: first guess of a cell's time on two CPU cores, before any cell has finished.
        starts: what it can begin with.
        options: type of its own settings.
    """

    name: str
    label: str
    summary: str
    describe: Callable[[Asked], RunSpec]
    seconds: Callable[[Size, Options], float]
    starts: frozenset[Start] = frozenset({"composed", "backbone"})
    options: type[Options] = Options

    def accepts(self, method: Method) -> bool:
        """Return whether the learner can begin with what a method gives."""
        return method.start in self.starts

    def settings(self, given: Mapping[str, Any]) -> Options:
        """Return the learner's settings.

        Raises:
            UnknownNameError: a setting does not exist.
            InputError: a value cannot be used.
        """
        for name in given:
            if name not in self.options.model_fields:
                raise UnknownNameError(f"option of the learner {self.name}", name, self.options.model_fields)
        try:
            return self.options(**given)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            raise InputError(
                f"The option {first['loc'][0]} of the learner {self.name} cannot be {first['input']!r}: {first['msg']}."
            ) from exc


def learner_names() -> list[str]:
    """Return the names of all learners, sorted; none is imported."""
    return sorted(entry_points(group=GROUP).names)


@cache
def get_learner(name: str) -> Learner:
    """Return the learner of that name.

    Raises:
        UnknownNameError: no installed package declares it.
        IncompatibleError: several do, or what is declared is no learner of that name.
        MissingDependencyError: it cannot be imported.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise UnknownNameError("learner", name, learner_names(), "Install the package that adds it.")
    if len(found) > 1:
        raise IncompatibleError(
            f"The learner {name!r} is claimed by more than one installed package: uninstall one."
        )
    (point,) = found
    try:
        learner = point.load()
    except (ImportError, AttributeError) as exc:
        raise MissingDependencyError(
            f"The learner {name!r} ({point.value}) cannot be imported: {exc}."
        ) from exc
    if not isinstance(learner, Learner) or learner.name != name:
        raise IncompatibleError(
            f"What {point.value} declares as {name!r} is no moma_app Learner of that name."
        )
    return learner
