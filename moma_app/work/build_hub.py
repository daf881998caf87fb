"""Builds a hub from its recipe: trains what is missing, compares with references, publishes modules one by one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.errors import InputError
from moma_app.hub.card import SCRATCH, Reference
from moma_app.hub.hub import Hub
from moma_app.hub.module import Module
from moma_app.jobs.batch import run_all
from moma_app.progress import Listener, Note, Warned, silent
from moma_app.tasks import get_task
from moma_app.work.finetune import finetune_spec
from moma_app.work.train import MODULE, train_spec

if TYPE_CHECKING:
    from moma_app.hub.card import Card
    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.order import Outcome
    from moma_app.jobs.spec import RunSpec
    from moma_app.training.recipe import Recipe
    from moma_app.work.hub_recipe import HubRecipe, Order


@dataclass(frozen=True)
class Wanted:
    """What a module needs: its training, and the fit that it is compared with.

    Attributes:
        order: the module.
        training: run that trains it.
        scratch: run of the same network from random weights on the same rows; ``None`` without one.
    """

    order: Order
    training: RunSpec
    scratch: RunSpec | None

    @property
    def runs(self) -> list[RunSpec]:
        """The training and, if there is one, the reference."""
        return [self.training] if self.scratch is None else [self.training, self.scratch]


@dataclass
class Built:
    """What became of a build.

    Attributes:
        kept: modules that the hub had already, made by the same recipe from the same rows.
        made: modules that were published now.
        failed: why a module is not there, by name.
    """

    kept: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def wanted(recipe: HubRecipe, device: str) -> list[Wanted]:
    """Return the runs that a hub needs.

    Raises:
        UnknownNameError: a task or recipe does not exist.
        DataNotFoundError: the data of a task is not on this machine.
    """
    found: list[Wanted] = []
    for order in recipe.orders(device):
        task = get_task(order.task)
        training = train_spec(
            task,
            order.recipe,
            name=order.name,
            kind=order.kind,
            backbone=recipe.backbone,
            split=recipe.split,
            device=device,
            priority=1,
        )
        scratch = None
        if recipe.scratch and order.kind == "full":
            scratch = finetune_spec(
                task,
                order.recipe,
                start=SCRATCH,
                split=recipe.split,
                backbone=recipe.backbone,
                device=device,
            )
        found.append(Wanted(order, training, scratch))
    return found


def missing(recipe: HubRecipe, hub: Hub, device: str) -> tuple[list[Wanted], list[str]]:
    """Return what a hub still needs, and the names of the modules that it has.

    A module is there if its card names the same recipe, split, rows and pre-trained weights, and the
    references that the hub's recipe asks for.
    """
    from moma_app.backbones.registry import get_backbone

    fingerprint = get_backbone(recipe.backbone).fingerprint
    needed: list[Wanted] = []
    there: list[str] = []
    for each in wanted(recipe, device):
        card = hub[each.order.name].card if each.order.name in hub else None
        if (
            card is not None
            and card.fingerprint == fingerprint
            and _recipe_of(card) == each.order.recipe
            and card.data.split_seed == recipe.split
            and (each.scratch is None or any(known.name == SCRATCH for known in card.references))
            and card.data.hash == get_task(each.order.task).load().content_hash()
        ):
            there.append(each.order.name)
        else:
            needed.append(each)
    return needed, there


def build(
    recipe: HubRecipe, folder: Path, jobs: Jobs, *, device: str = "auto", listener: Listener = silent
) -> Built:
    """Train the modules that a hub lacks and publish each as soon as it and its reference are done.

    A build that was stopped goes on when it is given again: finished runs count, others are resumed. A new
    hub gets a manifest.

    Args:
        recipe: of the hub.
        folder: of the hub.
        jobs: where the trainings run: one after another, or on several workers.
        device: where to train.
        listener: gets a ``Step`` whenever a run has ended, and a ``Note`` for each module.
    """
    hub = Hub(folder)
    needed, there = missing(recipe, hub, device)
    building = _Build(needed, hub, jobs, Built(kept=there), listener)
    run_all(jobs, building.specs, listener, what="fits", on_end=building.ended)
    if hub.manifest is None and len(hub):
        hub.release(recipe.version, name=recipe.name, summary=recipe.summary)
    return building.done


@dataclass
class _Build:
    needed: list[Wanted]
    hub: Hub
    jobs: Jobs
    done: Built
    listener: Listener
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def specs(self) -> list[RunSpec]:
        return [run for each in self.needed for run in each.runs]

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """Take note of a run, and publish the module that it was the last run of."""
        self.outcomes[spec.digest] = outcome
        for each in self.needed:
            digests = [run.digest for run in each.runs]
            if spec.digest in digests and all(digest in self.outcomes for digest in digests):
                self._publish(each)

    def _publish(self, each: Wanted) -> None:
        name = each.order.name
        trained, *others = (self.outcomes[run.digest] for run in each.runs)
        if trained.state != "finished":
            self.done.failed[name] = trained.message or f"its training is {trained.state}"
            self.listener(Warned(message=f"Module {name} was not made: {self.done.failed[name]}"))
            return
        references = tuple(_reference(other) for other in others if other.state == "finished")
        for other in others:
            if other.state != "finished":
                reason = other.message or f"that fit is {other.state}"
                self.listener(Warned(message=f"Module {name} has no reference {SCRATCH}: {reason}"))
        with tempfile.TemporaryDirectory() as folder:
            source = Hub(self.jobs.store.fetch(trained.run_id, MODULE, Path(folder)))[name]
            card = source.card.model_copy(update={"references": references})
            self.hub.add(Module(card, source.path), overwrite=True)
        self.done.made.append(name)
        self.listener(Note(message=f"Module {name} is in the hub."))


def _reference(outcome: Outcome) -> Reference:
    metrics = outcome.result["fit"]["metrics"]
    return Reference(
        name=SCRATCH,
        mae=metrics.get("mae"),
        accuracy=metrics.get("accuracy"),
        macro_f1=metrics.get("macro_f1"),
        seconds=round(outcome.result["fit"]["seconds"], 1),
    )


def _recipe_of(card: Card) -> Recipe | None:
    """Return the recipe that a card names; ``None`` if it is none of this version's."""
    from moma_app.training.recipe import Recipe

    try:
        return Recipe.from_dict(card.recipe)
    except InputError:
        return None
