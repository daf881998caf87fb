"""What a run does, and runs that belong to it: with another seed, from another start, the instant predictor."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moma_app.errors import MomaError
from moma_app.plots.fit_progress import About, about_fit
from moma_app.training.recipe import Recipe

if TYPE_CHECKING:
    from moma_app.jobs.spec import RunSpec
    from moma_app.tasks.specs import TaskSpec


@dataclass(frozen=True)
class Work:
    """What the run that is shown does; its task is ``None`` if this machine does not know it (any more)."""

    spec: RunSpec
    task: TaskSpec | None

    @classmethod
    def of(cls, spec: RunSpec) -> Work:
        """Look up the task of a run."""
        from moma_app.tasks import get_task

        try:
            return cls(spec, get_task(spec.task).spec)
        except MomaError:
            return cls(spec, None)

    def about(self) -> About:
        """Return what the live part needs to know."""
        return about_fit(self.spec.arguments, self.task)


def with_seed(spec: RunSpec, seed: int) -> RunSpec:
    """Return a fine-tuning with another seed; it also draws other few-shot rows."""
    recipe = Recipe.from_dict(spec.arguments["recipe"]).with_fit(seed=seed)
    return dataclasses.replace(spec.again(), arguments={**spec.arguments, "recipe": recipe.to_dict()})


def from_start(spec: RunSpec, start: str) -> RunSpec:
    """Return a fine-tuning on the same rows with the same recipe from another start.

    Args:
        spec: the fine-tuning.
        start: ``composed``, ``backbone``, ``scratch``, or ``instant`` for the instant predictor of the
            composed module.

    Raises:
        MomaError: the task or the hub is not on this machine.
    """
    from moma_app.tasks import get_task
    from moma_app.work.compose import compose_spec
    from moma_app.work.composing import AMC
    from moma_app.work.finetune import finetune_spec

    given = spec.arguments
    task, recipe = get_task(given["task"]), Recipe.from_dict(given["recipe"])
    amc = AMC.from_dict(given["amc"] or {})
    if given["start"] != "composed":
        amc = AMC(amc.hub, kind=amc.kind)
    rows: dict[str, Any] = {"split": given["split"], "shots": given["shots"], "device": given["device"]}
    if start == "instant":
        return compose_spec(task, amc=amc, seed=recipe.fit.seed, instant=True, mix=amc.independent(), **rows)
    return finetune_spec(task, recipe, start=start, amc=amc, backbone=given["backbone"], **rows)


def describe(spec: RunSpec) -> str:
    """Return what a fine-tuning does, in one sentence."""
    given = spec.arguments
    fit = given["recipe"]["fit"]
    modules = len((given["amc"] or {}).get("modules") or ())
    starts = {
        "composed": f"the composition of {modules} modules",
        "backbone": "the bare backbone",
        "scratch": "scratch",
    }
    start = starts.get(given["start"], f"the module {given['start']}")
    rows = "all training structures" if given["shots"] is None else f"{given['shots']:,} training structures"
    return (
        f"{given['task']} from {start}, split {given['split']}, {rows}, seed {fit['seed']}, at most {fit['epochs']} epochs "
        f"at a learning rate of {fit['learning_rate']:.2g}."
    )
