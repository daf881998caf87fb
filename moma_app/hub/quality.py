"""How good the modules of a hub are, beside the same network from scratch and what was published."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from moma_app.hub.card import SCRATCH, Card

PUBLISHED = Path(__file__).parent / "published_modules.csv"
SOURCE = "Chang et al., npj Comput. Mater. 8, 242 (2022), Table 5: CGCNN on the full data"


@dataclass(frozen=True)
class Quality:
    """A module's errors on its test rows beside those of others.

    Attributes:
        module, kind, task, unit: which.
        rows_train: rows that it was trained on.
        rows_published: size of the full published set, where known.
        max_atoms: largest training cell, if limited.
        mae: test MAE; ``None`` for a classification.
        mae_over_mad: the same in units of the mean absolute deviation.
        r2: coefficient of determination.
        accuracy, macro_f1: of a classification.
        scratch_mae, scratch_accuracy: of the same network from random weights on the same rows.
        published: MAE/MAD of CGCNN on the full data (:data:`SOURCE`), as printed there; a range is that of
            several similar properties.
        published_mae: their MAE with its unit, as printed there; empty where only a ratio is.
        seconds: of the training.
        size: bytes of the tensor file.
    """

    module: str
    kind: str
    task: str
    unit: str
    rows_train: int | None
    rows_published: int | None
    max_atoms: int | None
    mae: float | None
    mae_over_mad: float | None
    r2: float | None
    accuracy: float | None
    macro_f1: float | None
    scratch_mae: float | None
    scratch_accuracy: float | None
    published: str
    published_mae: str
    seconds: float | None
    size: int

    @property
    def scratch_over_mad(self) -> float | None:
        """MAE/MAD of the network from random weights."""
        if self.scratch_mae is None or not self.mae or self.mae_over_mad is None:
            return None
        return self.scratch_mae * self.mae_over_mad / self.mae


def quality_of(cards: Iterable[Card]) -> list[Quality]:
    """Return how good modules are; an adapter is compared with the references of its task's full module."""
    known = list(cards)
    references = {
        card.target.task: reference
        for card in known
        for reference in card.references
        if reference.name == SCRATCH
    }
    found: list[Quality] = []
    for card in known:
        reference, printed = references.get(card.target.task), published().get(card.target.task, {})
        found.append(
            Quality(
                module=card.name,
                kind=card.kind,
                task=card.target.task,
                unit=card.target.unit,
                rows_train=card.data.rows_train,
                rows_published=card.data.rows_published,
                max_atoms=card.data.max_atoms,
                mae=card.metrics.test_mae,
                mae_over_mad=card.metrics.mae_over_mad,
                r2=card.metrics.test_r2,
                accuracy=card.metrics.test_accuracy,
                macro_f1=card.metrics.test_macro_f1,
                scratch_mae=reference.mae if reference else None,
                scratch_accuracy=reference.accuracy if reference else None,
                published=printed.get("mae_over_mad", ""),
                published_mae=f"{printed['mae']} {printed['unit']}" if printed.get("mae") else "",
                seconds=card.hardware.seconds if card.hardware else None,
                size=card.size,
            )
        )
    return found


def quality_among(card: Card, known: Iterable[Card]) -> Quality:
    """Return how good one module is, with what the cards of its hub say of its task."""
    others = [other for other in known if other.target.task == card.target.task and other != card]
    return quality_of([*others, card])[-1]


@cache
def published() -> dict[str, dict[str, str]]:
    """Return what Chang et al. report, by task: ``mae``, ``unit``, ``mae_over_mad`` as printed."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return {row["task"]: row for row in csv.DictReader(file)}
