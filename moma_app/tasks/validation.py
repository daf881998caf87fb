"""Whether a row can be used: checks of structures and targets, each with its reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.structures import Crystal
from moma_app.tasks.parsing import StructureError
from moma_app.tasks.reasons import Reason
from moma_app.tasks.transforms import Transform

CLOSEST = 0.5
"""Atoms closer than this (Å) are an error in the file."""
CUTOFF = 6.0
"""Each atom needs a neighbour within this distance (Å), or no graph can reach it."""
_DENSEST = CLOSEST**3 / math.sqrt(2)
"""Volume per atom (Å³) of close-packed spheres of diameter CLOSEST: below, some are closer."""
_LONGEST = 1e4
"""Longest lattice vector (Å): beyond, the numbers are an error in the file."""
_FLATTEST = 1e-4
"""Smallest volume of a cell in units of the product of its lengths."""
_SHOWN = 40


class TargetError(Exception):
    """A target that cannot be used; ``code`` is the kind of reason."""

    def __init__(self, code: Reason, message: str) -> None:
        self.code: Reason = code
        super().__init__(message)


def check_structure(crystal: Crystal, *, cutoff: float = CUTOFF) -> None:
    """Raise ``StructureError`` unless the structure can be made a graph.

    The cell must have a volume, no two atoms (images included) may be closer than 0.5 Å, and
    every atom needs a neighbour within ``cutoff`` Å.
    """
    if not (np.isfinite(crystal.cell).all() and np.isfinite(crystal.frac_coords).all()):
        raise StructureError("unparsable", "a lattice vector or coordinate is not finite")
    lengths = np.linalg.norm(crystal.cell, axis=1)
    if lengths.max() > _LONGEST:
        raise StructureError("unparsable", f"a lattice vector is longer than {_LONGEST:g} Å")
    if lengths.min() <= 0 or crystal.volume < _FLATTEST * lengths.prod():
        raise StructureError("no volume", "the cell has no volume")
    if crystal.volume / len(crystal) < _DENSEST:
        raise StructureError(
            "atoms too close",
            f"atoms closer than {CLOSEST} Å: {crystal.volume / len(crystal):.3g} Å³ per atom",
        )
    nearest = nearest_distances(crystal, cutoff)
    closest = int(nearest.argmin())
    if nearest[closest] < CLOSEST:
        raise StructureError(
            "atoms too close",
            f"atoms closer than {CLOSEST} Å: atom {closest + 1} has a neighbour at {nearest[closest]:.3f} Å",
        )
    alone = np.flatnonzero(~np.isfinite(nearest))
    if len(alone):
        raise StructureError("isolated atom", f"atom {alone[0] + 1} has no neighbour within {cutoff:g} Å")


def nearest_distances(crystal: Crystal, cutoff: float) -> NDArray[np.float64]:
    """Return the distance of each atom to its nearest neighbour, images included.

    Returns:
        Å, float64 [n_atoms]; inf where there is none within ``cutoff``.
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    positions = np.ascontiguousarray((crystal.frac_coords % 1.0) @ crystal.cell)
    center, point, image, distance = find_points_in_spheres(
        positions,
        positions,
        r=float(cutoff),
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(crystal.cell),
        tol=1e-8,
    )
    other = (center != point) | (image != 0).any(axis=1)
    nearest = np.full(len(crystal), np.inf)
    np.minimum.at(nearest, center[other], distance[other])
    return nearest


def read_number(raw: Any) -> float:
    """Return a target as a finite number.

    Raises:
        TargetError: missing, no number, or not finite.
    """
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        raise TargetError("target missing", "no target given")
    try:
        value = float(raw)
    except (TypeError, ValueError):
        shown = str(raw)[:_SHOWN]
        raise TargetError("target not a number", f"the target {shown!r} is not a number") from None
    if not math.isfinite(value):
        raise TargetError("target not finite", f"the target is {value}")
    return value


def read_target(raw: Any, transform: Transform) -> float:
    """Return a target after the transform.

    Raises:
        TargetError: as for :func:`read_number`, or the transform is not defined for the value.
    """
    value = read_number(raw)
    if not transform.defined(value):
        raise TargetError(
            "transform undefined", f"{transform.formula} is not defined for the target {value:g}"
        )
    return float(transform.forward(value))


def read_label(raw: Any) -> str:
    """Return a class label as text; whole numbers without a decimal point.

    Raises:
        TargetError: missing or not finite.
    """
    if isinstance(raw, bool) or (isinstance(raw, str) and raw.strip() and not _is_number(raw)):
        return str(raw).strip()
    value = read_number(raw)
    return str(int(value)) if value == int(value) else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
