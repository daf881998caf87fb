"""Unit ``cell``: one cell of an experiment's table, a learner on a task, split and seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from moma_app.jobs.context import Context
from moma_app.jobs.spec import RunSpec
from moma_app.work.compose import compose, compose_spec
from moma_app.work.finetune import finetune, finetune_spec

if TYPE_CHECKING:
    from moma_app.tasks.task import Task
    from moma_app.training.recipe import Recipe
    from moma_app.work.composing import AMC

Learner = Literal["instant", "instant-bare", "finetune"]
UNITS: dict[str, Callable[..., dict[str, Any]]] = {"finetune": finetune, "compose": compose}


def cell_spec(
    task: Task,
    learner: Learner,
    *,
    split: int = 0,
    seed: int = 0,
    shots: int | None = None,
    start: str = "composed",
    recipe: Recipe | None = None,
    amc: AMC | None = None,
    device: str = "auto",
) -> RunSpec:
    """Describe one cell as a run.

    Args:
        task: row of the table.
        learner: column of the table: an instant predictor, or a fine-tuned one.
        split, seed, shots: which rows of the task.
        start: of a fine-tuning, as :func:`moma_app.work.finetune.finetune_spec` has it.
        recipe: of a fine-tuning; by default ``finetune``.
        amc: of a composition.
        device: where to compute.
    """
    if learner == "finetune":
        from moma_app.training.recipe import load_recipe

        chosen = (recipe or load_recipe("finetune")).with_fit(seed=seed)
        inner = finetune_spec(task, chosen, start=start, split=split, shots=shots, amc=amc, device=device)
    else:
        inner = compose_spec(
            task,
            amc=amc,
            split=split,
            shots=shots,
            seed=seed,
            instant=True,
            bare=learner == "instant-bare",
            device=device,
        )
    where = f"{task.name}, split {split}, seed {seed}" + (f", {shots} shots" if shots else "")
    return dataclasses.replace(
        inner,
        unit="cell",
        arguments={
            "learner": learner if learner != "finetune" else f"finetune:{start}",
            "unit": inner.unit,
            "of": inner.arguments,
        },
        publish={},
        name=f"{learner} on {where}",
    )


def cell(context: Context, *, learner: str, unit: str, of: dict[str, Any]) -> dict[str, Any]:
    """Do what :func:`cell_spec` describes.

    Returns:
        What the unit returns, and ``row``: the cell's place in the table and its test metrics.
    """
    done = UNITS[unit](context, **of)
    fit = done["fit"]
    row = {name: fit[name] for name in ("task", "split", "seed", "shots", "unit", "hardware")}
    return {**done, "row": {"learner": learner, **row, **fit["metrics"]}}
