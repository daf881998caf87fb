"""How the unit ``predict`` works: reads files, leaves out what cannot be used, and makes rows of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from moma_app.backbones.refused import refused_structures
from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError, InputError, StructureRefusedError
from moma_app.formulas import reduced_formula
from moma_app.hub.hub import Hub
from moma_app.jobs.context import Context
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks.readers import UserFile
from moma_app.tasks.structure_files import BadFile, NamedStructure, read_structure_files
from moma_app.training.hub_predictions import predict_with_hub
from moma_app.training.predictor import Predictor
from moma_app.work.composing import open_hub
from moma_app.work.finetune import PREDICTOR
from moma_app.work.predict import CARD

MOST_SHOWN = 200
"""Structures that the result holds, for a view of them."""
Found = TypeVar("Found")


@dataclass
class Refused:
    """What cannot be predicted, and whether that is the end.

    Attributes:
        skip: go on without it.
        files: what was refused so far.
    """

    skip: bool
    files: list[BadFile] = field(default_factory=list)

    def add(self, bad: Sequence[BadFile]) -> None:
        """Note refused structures.

        Raises:
            InputError: there is one, and it is not to be skipped.
        """
        if bad and not self.skip:
            rest = f" (and {len(bad) - 1} more are unusable)" if len(bad) > 1 else ""
            raise InputError(f"{bad[0].label}: {bad[0].reason.rstrip('.')}{rest}; nothing was predicted.")
        self.files += bad


@dataclass(frozen=True)
class Predicted:
    """Predictions for several structures.

    Attributes:
        structures: for which.
        rows: one for each structure and property, JSON-ready.
    """

    structures: list[NamedStructure]
    rows: list[dict[str, Any]]


def read(context: Context, structures: Sequence[dict[str, str]], refused: Refused) -> list[NamedStructure]:
    """Read the files that came with the order; ``structures`` has their places and labels."""
    files = [UserFile(_file(context, each["place"]), each["label"]) for each in structures]
    good, bad = read_structure_files(files, context.progress)
    refused.add(bad)
    return good


def by_predictor(
    context: Context, structures: list[NamedStructure], refused: Refused, device: str
) -> Predicted:
    """Predict with the predictor that came with the order."""
    predictor = Predictor.load(_file(context, f"{PREDICTOR}/{CARD}").parent)
    info = predictor.info
    context.facts(backbone=info.backbone, fingerprint=info.fingerprint, predictor_sha256=info.sha256)
    predicted, usable = _without_refused(
        structures,
        [info.backbone],
        refused,
        lambda crystals: predictor.predict(crystals, device=device, progress=context.progress),
    )
    if predicted is None:
        return Predicted([], [])
    rows = [
        _row(
            structure,
            place,
            name=info.target.property,
            unit=info.target.unit,
            value=float(predicted.values[place]),
            std=None if predicted.std is None else float(predicted.std[place]),
            test_mae=info.metrics.get("mae"),
        )
        for place, structure in enumerate(usable)
    ]
    return Predicted(usable, rows)


def by_hub(
    context: Context,
    structures: list[NamedStructure],
    refused: Refused,
    device: str,
    *,
    where: str | None,
    modules: list[str],
) -> Predicted:
    """Predict with every named module of a hub that has a head."""
    hub = open_hub(context, where)
    predicted, usable = _without_refused(
        structures,
        _backbones(hub, modules),
        refused,
        lambda crystals: predict_with_hub(
            hub, crystals, modules=modules, device=device, progress=context.progress
        ),
    )
    rows = [
        _row(
            structure,
            place,
            name=each.property,
            unit=each.unit,
            value=float(each.values[place]),
            module=each.module,
            test_mae=each.test_mae,
        )
        for place, structure in enumerate(usable)
        for each in predicted or ()
    ]
    return Predicted(usable, rows)


def result_of(predicted: Predicted, refused: Refused) -> dict[str, Any]:
    """Return the unit's result; see :func:`moma_app.work.predict.predict`."""
    shown = [
        {
            "file": structure.label,
            "numbers": structure.crystal.numbers.tolist(),
            "cell": structure.crystal.cell.tolist(),
            "frac_coords": structure.crystal.frac_coords.tolist(),
        }
        for structure in predicted.structures[:MOST_SHOWN]
    ]
    return {
        "rows": predicted.rows,
        "refused": [{"file": bad.label, "reason": bad.reason} for bad in refused.files],
        "structures": shown,
        "metrics": {"structures": len(predicted.structures), "refused": len(refused.files)},
    }


def _row(
    structure: NamedStructure,
    place: int,
    *,
    name: str,
    unit: str,
    value: float,
    std: float | None = None,
    module: str = "",
    test_mae: float | None,
) -> dict[str, Any]:
    return {
        "file": structure.label,
        "formula": reduced_formula(structure.crystal.numbers.tolist()),
        "n_atoms": len(structure.crystal),
        "module": module,
        "property": name,
        "value": value,
        "std": std,
        "unit": unit,
        "test_mae": test_mae,
        "note": structure.note,
        "structure": place,
    }


def _file(context: Context, place: str) -> Path:
    """Return where a file of the order lies on this machine."""
    if context.carried is not None:
        return context.carried / place
    assert context.order is not None, "a prediction is ordered with its files"
    return Path(context.order.spec.files[place].path)


def _backbones(hub: Hub, modules: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in modules:
        try:
            found[hub[name].card.backbone] = None
        except DamagedFileError:  # whoever predicts says that it is left out, and why
            continue
    return list(found)


def _without_refused(
    structures: list[NamedStructure],
    backbones: Sequence[str],
    refused: Refused,
    predict: Callable[[list[Crystal]], Found],
) -> tuple[Found | None, list[NamedStructure]]:
    """Predict what can be made a graph, and note the rest; ``None`` if nothing is left."""
    if not structures:
        return None, []
    try:
        return predict([structure.crystal for structure in structures]), structures
    except StructureRefusedError:
        usable = structures
        for backbone in backbones:
            usable = _usable(usable, backbone, refused)
    return (predict([structure.crystal for structure in usable]) if usable else None), usable


def _usable(structures: list[NamedStructure], backbone: str, refused: Refused) -> list[NamedStructure]:
    """Return the structures that a backbone can make graphs of, and note the others."""
    found = refused_structures(
        get_backbone(backbone), StructureSet.from_any([structure.crystal for structure in structures])
    )
    refused.add([BadFile(structures[position].label, reason) for position, reason in found.items()])
    return [structure for position, structure in enumerate(structures) if position not in found]
