"""Every row of a user's file is checked; what cannot be used is refused with its reason."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.progress import Listener, Step
from moma_app.structures import VACUUM, Crystal
from moma_app.tasks.own_splits import part_of
from moma_app.tasks.parsing import StructureError, parse_structure
from moma_app.tasks.rawrows import RawRow
from moma_app.tasks.report import Refusal
from moma_app.tasks.transforms import Transform
from moma_app.tasks.validation import CUTOFF, TargetError, check_structure, read_label, read_target


@dataclass(frozen=True, eq=False)
class AcceptedRow:
    """A row that can be used; ``label`` is set for classes, ``target`` for numbers."""

    number: int
    id: str
    crystal: Crystal
    target: float
    label: str
    forces: NDArray[np.float64] | None
    part: str | None


@dataclass(eq=False)
class Checked:
    """Rows that can be used, rows that cannot, and what was noticed."""

    accepted: list[AcceptedRow] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    molecules: int = 0
    nameless: int = 0
    warnings: Counter[str] = field(default_factory=Counter)

    def notes(self, stem: str) -> list[str]:
        """Return what was done to the rows, in words; ``stem`` is the beginning of given ids."""
        notes = []
        if self.molecules:
            notes.append(
                f"{self.molecules} molecules without a lattice were put in a box with {VACUUM:g} Å of vacuum on each side"
            )
        if self.nameless:
            notes.append(f"{self.nameless} rows have no id and are called {stem}-ROW")
        for message, count in self.warnings.most_common(5):
            notes.append(f"{count} structures: {message}")
        return notes


def check_rows(raw: list[RawRow], stem: str, transform: Transform | None, progress: Listener) -> Checked:
    """Check every row.

    Args:
        raw: the rows as they were read.
        stem: beginning of the ids of rows that have none.
        transform: of the target; None for classes.
        progress: told of rows checked.
    """
    checked = Checked()
    first_rows: dict[str, int] = {}
    for done, row in enumerate(raw):
        if done % 50 == 0:
            progress(Step(what="checking rows", done=done, total=len(raw), fraction=done / len(raw)))
        name = row.id or f"{stem}-{row.number}"
        checked.nameless += row.id is None
        if name in first_rows:
            message = f"duplicate id, first in row {first_rows[name]}"
            checked.refused.append(Refusal(row.number, name, message, "duplicate id", row.line))
            continue
        first_rows[name] = row.number
        try:
            _accept(row, name, transform, checked)
        except (StructureError, TargetError) as exc:
            checked.refused.append(Refusal(row.number, name, str(exc), exc.code, row.line))
    progress(Step(what="checking rows", done=len(raw), total=len(raw), fraction=1.0))
    return checked


def _accept(row: RawRow, name: str, transform: Transform | None, checked: Checked) -> None:
    if row.problem is not None:
        raise row.problem
    label, target = "", math.nan
    if transform is None:
        label = read_label(row.target)
    else:
        target = read_target(row.target, transform)
    part = _part(row)
    parsed = row.parsed if row.parsed is not None else parse_structure(row.content)
    check_structure(parsed.crystal, cutoff=CUTOFF)
    checked.molecules += parsed.molecule
    checked.warnings.update(set(parsed.warnings))
    checked.accepted.append(AcceptedRow(row.number, name, parsed.crystal, target, label, row.forces, part))


def _part(row: RawRow) -> str | None:
    if row.part is None:
        return None
    try:
        return part_of(row.part)
    except InputError as exc:
        raise TargetError("split part unknown", str(exc).rstrip(".")) from exc
