"""Periodic neighbour search, by pymatgen's compiled routine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.structures import Crystal

SAME_SITE = 1e-8
"""Distance (Å) under which two points are one and the same site."""


class Neighbors(NamedTuple):
    """Directed pairs within a cutoff, ordered by centre.

    Attributes:
        center: index of the central atom, int64 [n_pairs].
        neighbor: index of the other atom, int64 [n_pairs].
        image: lattice translation of the neighbour, int64 [n_pairs, 3].
        distance: distance in Å, float64 [n_pairs].
        vector: from neighbour to centre in Å, float64 [n_pairs, 3].
    """

    center: NDArray[np.int64]
    neighbor: NDArray[np.int64]
    image: NDArray[np.int64]
    distance: NDArray[np.float64]
    vector: NDArray[np.float64]


def find_neighbors(crystal: Crystal, cutoff: float) -> Neighbors:
    """Return all pairs closer than ``cutoff`` (Å), the pair of an atom with itself left out.

    Raises:
        InputError: an atom has no neighbour within the cutoff, or the cell has no volume.
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    if crystal.volume < 1e-6:
        raise InputError("The cell has no volume: check the lattice vectors.")
    cell = np.ascontiguousarray(crystal.cell, dtype=np.float64)
    positions = np.ascontiguousarray(crystal.frac_coords @ cell, dtype=np.float64)
    center, neighbor, image, distance = find_points_in_spheres(
        all_coords=positions,
        center_coords=positions,
        r=float(cutoff),
        pbc=np.ones(3, dtype=np.int64),
        lattice=cell,
        tol=SAME_SITE,
    )
    itself = (center == neighbor) & (distance <= SAME_SITE)
    order = np.argsort(center[~itself], kind="stable")
    center, neighbor, image, distance = (
        values[~itself][order] for values in (center, neighbor, image, distance)
    )
    isolated = np.setdiff1d(np.arange(len(crystal)), center)
    if len(isolated):
        raise InputError(
            f"Atom {isolated[0]} has no neighbour within {cutoff:g} Å"
            + (f" (nor have {len(isolated) - 1} others)" if len(isolated) > 1 else "")
            + ": check lattice and units."
        )
    image = image.astype(np.int64)
    vector = positions[center] - positions[neighbor] - image @ cell
    return Neighbors(center.astype(np.int64), neighbor.astype(np.int64), image, distance, vector)


def symmetric_pairs(pairs: Neighbors) -> tuple[Neighbors, NDArray[np.int64]]:
    """Return the pairs whose reverse is present too, and the index of each one's reverse.

    Rounding can put a pair that lies exactly on the cutoff inside in one direction only; such a
    pair is dropped. The second value is int64 [n_pairs].
    """
    forward = np.column_stack([pairs.center, pairs.neighbor, pairs.image])
    backward = np.column_stack([pairs.neighbor, pairs.center, -pairs.image])
    _, code = np.unique(np.concatenate([forward, backward]), axis=0, return_inverse=True)
    code = code.reshape(-1)
    own, mirrored = np.split(code, 2)
    matched = np.isin(own, mirrored)
    if not matched.all():
        kept = (values[matched] for values in pairs)
        return symmetric_pairs(Neighbors(*kept))  # type: ignore[arg-type]  # one type per column
    position = np.empty(code.max(initial=-1) + 1, dtype=np.int64)
    position[own] = np.arange(len(own))
    return pairs, position[mirrored]
