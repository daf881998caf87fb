"""What the modules of a hub say of a structure: each its own property, with unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.base import Backbone, pooling_of
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.registry import get_backbone
from moma_app.choices import Pooling
from moma_app.errors import DamagedFileError, InputError, MomaError
from moma_app.hub.card import Card
from moma_app.hub.encode import encode_modules
from moma_app.hub.hub import Hub
from moma_app.hub.module import Module
from moma_app.progress import Listener, Step, Warned, silent
from moma_app.runtime import pick_device
from moma_app.tasks.any_structures import structures_of
from moma_app.text import brief, count
from moma_app.training.model import Head, TargetScale, load_head
from moma_app.training.readout import HeadReadout
from moma_app.training.settings import HeadConfig


@dataclass(frozen=True)
class HubPrediction:
    """One module's prediction of its own property for several structures.

    Attributes:
        module: name in the hub.
        property, unit: what is predicted.
        values: float64 [n].
        test_mae: the module's test error in the same unit, where known.
    """

    module: str
    property: str
    unit: str
    values: NDArray[np.float64]
    test_mae: float | None

    def __repr__(self) -> str:
        return brief(self, f"{self.module}: {self.property} of {count(len(self.values), 'structure')}")


def predict_with_hub(
    hub: Hub,
    structures: Any,
    *,
    modules: list[str] | None = None,
    device: str = "auto",
    progress: Listener = silent,
) -> list[HubPrediction]:
    """Predict with every module of a hub that has a head.

    Damaged modules are left out with a warning. Structures are taken as
    :meth:`moma_app.training.predictor.Predictor.predict` takes them.

    Raises:
        InputError: no module could predict, or a structure cannot be used.
        UnknownNameError: a name is not in the hub.
    """
    crystals = structures_of(structures)

    def leave_out(module: Module | str, reason: MomaError) -> None:
        name = module if isinstance(module, str) else module.name
        progress(Warned(message=f"Module {name} is left out: {reason}"))

    groups: dict[tuple[Any, ...], list[Module]] = {}
    names = list(hub) if modules is None else modules
    for name in names:
        try:
            module = hub[name]
            module.verify()
        except DamagedFileError as exc:
            leave_out(name, exc)
            continue
        card = module.card
        if card.head is not None:
            alike = (card.backbone, card.layers, card.kind, own_pooling(card))
            groups.setdefault(alike, []).append(module)
    target = pick_device(device)
    built: dict[str, GraphSet] = {}
    found: dict[str, HubPrediction] = {}
    for (backbone_name, layers, _, pooling), group in groups.items():
        backbone = get_backbone(backbone_name)
        if backbone_name not in built:
            built[backbone_name] = backbone.graphs(crystals, progress)
        for module, embeddings, _ in encode_modules(
            group,
            backbone,
            built[backbone_name],
            layers=layers,
            pooling=pooling,
            gate=own_gate,
            device=target,
            on_error=leave_out,
        ):
            try:
                values = predicted_by(module, backbone, embeddings)
                card = module.card
                found[module.name] = HubPrediction(
                    card.name, card.target.property, card.target.unit, values, card.metrics.test_mae
                )
            except DamagedFileError as exc:
                leave_out(module, exc)
            progress(
                Step(what="modules", done=len(found), total=len(names), fraction=len(found) / len(names))
            )
    if not found:
        raise InputError("No module of this hub can predict: none has a head that can be read.")
    return [found[name] for name in names if name in found]


def own_pooling(card: Card) -> Pooling:
    """Return how a module's own head pools atoms."""
    head = HeadConfig(**card.head.config) if card.head is not None else HeadConfig()
    return pooling_of(extensive=card.target.extensive, head=head.pooling)


def own_gate(module: Module) -> Tensor | None:
    """Return what a module's own head weighs atoms by, [d]; ``None`` without attention.

    Raises:
        DamagedFileError: the module's file cannot be read.
    """
    return _head(module, get_backbone(module.card.backbone)).gate


def predicted_by(module: Module, backbone: Backbone, embeddings: Tensor) -> NDArray[np.float64]:
    """Return what a module's own head makes of its embeddings [n, d]: its property, float64 [n].

    Raises:
        DamagedFileError: the module's file cannot be read.
    """
    card = module.card
    assert card.head is not None
    head = _head(module, backbone)
    values, _ = HeadReadout(head, TargetScale(card.head.mean, card.head.std)).predict(embeddings)
    return values


def _head(module: Module, backbone: Backbone) -> Head:
    card = module.card
    assert card.head is not None
    return load_head(backbone.feature_width(card.layers), card.head.config, module.head())
