"""Rows as the readers find them in a user's files, before any check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.tasks.parsing import Parsed, StructureError


@dataclass(frozen=True, eq=False)
class RawRow:
    """One row of a user's file.

    Attributes:
        number: its number, from 1.
        id: its id; None if the file gives none.
        target: the target as found.
        content: the structure as text or dictionary, still to be parsed; or
        parsed: the structure where the reader had it ready; or
        problem: why there is none.
        forces: forces in eV/Å, float64 [n_atoms, 3], if the file has them.
        line: the line of the file where it begins, from 1; None where the file has no lines.
        part: of the split, as the user spells it; None if the file tells none.
    """

    number: int
    id: str | None
    target: Any
    content: Any = None
    parsed: Parsed | None = None
    problem: StructureError | None = None
    forces: NDArray[np.float64] | None = None
    line: int | None = None
    part: str | None = None
