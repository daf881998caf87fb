"""A composition as arguments that travel: which hub, which modules, K and T."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from moma_app.choices import Weighting
from moma_app.errors import InputError
from moma_app.hub.hub import Hub
from moma_app.hub.places import on_every_machine, place_of
from moma_app.hub.sharing import check_shared_start
from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.work.modules import files_of, hash_of, modules_of, named_modules

if TYPE_CHECKING:
    from moma_app.amc.compose import Composition
    from moma_app.hub.card import Card
    from moma_app.hub.module import Module
    from moma_app.tasks.task import Task

NEIGHBOURS = "neighbours.safetensors"
"""Artefact of a composition: what :class:`moma_app.amc.stored.StoredNeighbours` reads."""


@dataclass(frozen=True)
class AMC:
    """What decides a composition besides the task.

    Attributes:
        hub: a hub's name or folder, ``builtin``, or ``None`` for the user's and the built-in one.
        modules: names of the modules to consider, all of ``kind`` by default.
        kind: full modules or adapters.
        backbone: modules of this backbone.
        k, temperature: of the kNN estimate (Eq. 1).
        weighting: how the weights are chosen, see :mod:`moma_app.amc.weighting`.
    """

    hub: str | None = None
    modules: list[str] | None = None
    kind: Literal["full", "adapter"] = "full"
    backbone: str | None = None
    k: int = 5
    temperature: float = 0.2
    weighting: Weighting = "amc"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form.

        The usual weighting is not named: runs of the time before there were others are equal work.
        """
        given = asdict(self)
        if self.weighting == "amc":
            del given["weighting"]
        return given

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AMC:
        """Rebuild from :meth:`to_dict`.

        Raises:
            InputError: a setting is unknown.
        """
        try:
            return cls(**data)
        except TypeError as exc:
            raise InputError(f"These are no settings of a composition: {exc}.") from exc

    def settled(self) -> AMC:
        """Return the same with an absolute hub and all names: a module that is added later does not count."""
        hub = Hub.open(self.hub)
        where = self.hub if on_every_machine(self.hub) else str(place_of(str(self.hub)))
        names = self.modules
        if names is None:
            names = [name for name, module in modules_of(hub).items() if self._fits(module)]
        return replace(self, hub=where, modules=names)

    def with_backbone(self) -> AMC:
        """Return the same with the backbone named, if all its modules have the same one."""
        modules = named_modules(Hub.open(self.hub), self.modules).values()
        backbones = {module.card.backbone for module in modules if module is not None}
        return replace(self, backbone=backbones.pop()) if len(backbones) == 1 else self

    def independent(self) -> bool:
        """Return whether its modules started each from an initialisation of its own: they can be mixed, not merged."""
        cards = self._cards()
        return len(cards) > 1 and all(card.independent for card in cards)

    def check_mergeable(self) -> None:
        """Refuse what could not be merged in the end, before anything is encoded.

        Raises:
            NoSharedStartError: the modules do not share an initialisation.
        """
        if self.weighting != "best-single" and self.independent():
            check_shared_start(self._cards())

    def _cards(self) -> list[Card]:
        modules = named_modules(Hub.open(self.hub), self.modules).values()
        return [module.card for module in modules if module is not None and self._fits(module)]

    def _fits(self, module: Module | None) -> bool:
        if module is None:
            return True  # its card is damaged: the composition will say that it is left out, and why
        return module.card.kind == self.kind and self.backbone in (None, module.card.backbone)

    def files(self) -> dict[str, Blob]:
        """Return the files of the modules that do not come with the package, by their place in a data folder."""
        return files_of(Hub.open(self.hub), self.modules)

    def modules_hash(self) -> str:
        """Return a hash of the modules' names and content as they are in the hub now."""
        return hash_of(Hub.open(self.hub), self.modules)


def open_hub(context: Context, where: str | None) -> Hub:
    """Open a hub by its address; one that was carried to this worker lies with the run."""
    if context.carried is not None and not on_every_machine(where):
        return Hub(context.carried / "hub")
    return Hub.open(where)


def compose_for(
    context: Context, task: Task, amc: AMC, split: int, *, shots: int | None, seed: int, device: str
) -> Composition:
    """Compose a module for a task and keep the result, and what it depends on, with the run."""
    from moma_app.amc.compose import compose
    from moma_app.config import get_settings
    from moma_app.files import atomic_write_text
    from moma_app.work.encoding import SpreadEncoder

    composition = compose(
        task,
        open_hub(context, amc.hub),
        split,
        shots=shots,
        seed=seed,
        k=amc.k,
        temperature=amc.temperature,
        modules=amc.modules,
        kind=amc.kind,
        weighting=amc.weighting,
        backbone_name=amc.backbone,
        graph_folder=get_settings().graph_folder,
        device=device,
        encoder=SpreadEncoder(context, amc.hub, device),
        progress=context.progress,
    )
    result = composition.result
    used = "\n".join(sorted(f"{score.module} {score.sha256}" for score in result.modules))
    context.facts(
        hub_hash=hashlib.sha256(used.encode()).hexdigest(),
        backbone=result.backbone,
        fingerprint=result.fingerprint,
    )
    atomic_write_text(context.artefacts / "composition.json", result.to_json())
    composition.neighbours.save(context.artefacts / NEIGHBOURS)
    return composition
