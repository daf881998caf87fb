"""What the modules of a hub say of a structure: each its own property, with unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.backbones.base import crystal_embedding
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.inference import apply_in_batches
from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError, InputError
from moma_app.hub.hub import Hub
from moma_app.hub.module import Module
from moma_app.progress import Listener, Step, Warned, silent
from moma_app.runtime import pick_device
from moma_app.structures import StructureSet
from moma_app.training.model import TargetScale, load_head
from moma_app.training.readout import HeadReadout


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


def predict_with_hub(
    hub: Hub,
    structures: Iterable[Any],
    *,
    modules: list[str] | None = None,
    device: str = "auto",
    progress: Listener = silent,
) -> list[HubPrediction]:
    """Predict with every module of a hub that has a head.

    Damaged modules are left out with a warning.

    Raises:
        InputError: no module could predict, or a structure cannot be used.
        UnknownNameError: a name is not in the hub.
    """
    crystals = StructureSet.from_any(structures)
    graphs: dict[str, GraphSet] = {}
    predictions: list[HubPrediction] = []
    names = list(hub) if modules is None else modules
    for done, name in enumerate(names, 1):
        try:
            module = hub[name]
            module.verify()
            if module.card.head is not None:
                backbone = module.card.backbone
                if backbone not in graphs:
                    graphs[backbone] = get_backbone(backbone).graphs(crystals)
                predictions.append(_predict(module, graphs[backbone], device))
        except DamagedFileError as exc:
            progress(Warned(message=f"Module {name} is left out: {exc}"))
        progress(Step(what="modules", done=done, total=len(names), fraction=done / len(names)))
    if not predictions:
        raise InputError("No module of this hub can predict: none has a head that can be read.")
    return predictions


def _predict(module: Module, graphs: GraphSet, device: str) -> HubPrediction:
    card = module.card
    assert card.head is not None
    backbone = get_backbone(card.backbone)
    head = load_head(backbone.feature_width(card.layers), card.head.config, module.head())
    target = pick_device(device)
    network = module.network(backbone).to(target).eval()
    embeddings = apply_in_batches(
        lambda batch: crystal_embedding(
            network, batch, card.layers, "sum" if card.target.extensive else "mean"
        ),
        graphs,
        device=target,
    )
    values, _ = HeadReadout(head, TargetScale(card.head.mean, card.head.std)).predict(embeddings)
    return HubPrediction(card.name, card.target.property, card.target.unit, values, card.metrics.test_mae)
