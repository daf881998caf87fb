"""Unit ``train-module``: a module for a task, added to a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.jobs.spec import Needs, RunSpec

if TYPE_CHECKING:
    from moma_app.tasks.task import Task
    from moma_app.training.recipe import Recipe

MODULE = "module"
"""Folder of the module among a run's artefacts."""


def train_spec(
    task: Task,
    recipe: Recipe,
    *,
    name: str | None = None,
    kind: Literal["full", "adapter"] = "full",
    backbone: str = "chgnet",
    split: int = 0,
    device: str = "auto",
    devices: int = 1,
    strategy: str = "auto",
    hub: Path | None = None,
    overwrite: bool = False,
    priority: int = 0,
) -> RunSpec:
    """Describe the training of a module as a run.

    Args:
        task: the data-rich task.
        recipe: how to train.
        name: of the module; by default the task's, with ``-adapter`` for an adapter.
        kind: all weights, or adapters in the frozen backbone.
        backbone: pre-trained backbone to start from.
        split: seed of the split.
        device, devices, strategy: where to train, and in how many processes.
        hub: folder of the hub that gets the module, besides the run's own copy.
        overwrite: replace a module of the same name there.
        priority: place in the queue.
    """
    from moma_app.hub.card import module_name

    name = name or module_name(task.name, kind)
    return RunSpec(
        unit="train-module",
        arguments={
            "task": task.name,
            "recipe": recipe.to_dict(),
            "name": name,
            "kind": kind,
            "backbone": backbone,
            "split": split,
            "device": device,
            "strategy": strategy,
        },
        publish={"hub": None if hub is None else str(hub.absolute()), "overwrite": overwrite},
        name=f"train module {name}",
        task=task.name,
        needs=Needs(gpus=devices if device == "cuda" else 0, processes=devices),
        priority=priority,
        files={place: Blob.of(path) for place, path in {**task.files(), **excluded_files(recipe)}.items()},
    )


def excluded_files(recipe: Recipe) -> dict[str, Path]:
    """Return the files of the tasks whose structures a recipe leaves out."""
    from moma_app.tasks import get_task

    return {
        place: path
        for name in recipe.exclude_structures_of
        for place, path in get_task(name).files().items()
        if place.startswith("tasks/")
    }


def train_module(
    context: Context,
    *,
    task: str,
    recipe: dict[str, Any],
    name: str,
    kind: Literal["full", "adapter"],
    backbone: str,
    split: int,
    device: str,
    strategy: str,
    hub: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do what :func:`train_spec` describes.

    The module is stored in half precision where that changes its test error by no more than 0.5%.

    Returns:
        ``module`` (its name), ``card``, ``metrics`` and ``published``, the hub that it was added to.
    """
    from moma_app.config import get_settings
    from moma_app.hub.hub import Hub
    from moma_app.tasks import get_task
    from moma_app.training.recipe import Recipe
    from moma_app.training.storage import choose_storage
    from moma_app.training.train_module import train_module as train
    from moma_app.work.machine import share_of, use_machine

    device = use_machine(device, context)
    source = get_task(task)
    chosen = Recipe.from_dict(recipe)
    data, parts = source.load(context.progress), source.split(split)
    module = train(
        data,
        parts,
        chosen,
        name=name,
        backbone_name=backbone,
        kind=kind,
        checkpoints=context.checkpoints,
        graph_folder=get_settings().graph_folder,
        device=device,
        parallel=share_of(strategy),
        resume=context.resuming,
        progress=context.progress,
        stop=context.stop,
    )
    context.facts(data_hash=module.card.data.hash, seed=chosen.fit.seed)
    module = choose_storage(
        module,
        data,
        parts.test,
        graph_folder=get_settings().graph_folder,
        device=device,
        progress=context.progress,
    ).module
    stored = Hub(context.artefacts / MODULE).put(module, overwrite=True)
    published = None
    if hub is not None and context.shared:
        card = Path(hub) / f"{module.name}.json"
        stored = Hub(Path(hub)).add(module, overwrite=context.may_replace(card, overwrite=overwrite))
        published = hub
    metrics = stored.card.metrics.model_dump(exclude_none=True)
    return {
        "module": stored.name,
        "card": stored.card.model_dump(mode="json"),
        "metrics": {key: value for key, value in metrics.items() if isinstance(value, int | float)},
        "published": published,
    }
