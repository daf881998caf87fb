"""Rows of a source dataset on their way into a task: the form that all providers give."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moma_app.structures import Crystal


@dataclass(eq=False)
class SourceRows:
    """Rows of a task as a provider gives them.

    Attributes:
        ids: material ids [n].
        rows: row indices in the filtered source dataset, int32 [n].
        crystals: structures [n].
        targets: targets after the transform, float64 [n].
        counted: rows of the filtered dataset, including those that ``notes`` says were left out.
        notes: sentences on what was left out, or differs from what was expected.
        origin: where the rows come from, in words.
    """

    ids: list[str]
    rows: NDArray[np.int32]
    crystals: list[Crystal]
    targets: NDArray[np.float64]
    counted: int
    origin: str
    notes: list[str] = field(default_factory=list)
