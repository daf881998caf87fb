"""Periodic neighbour search, by pymatgen's compiled routine.

The search of one structure takes a fraction of a millisecond, so the arrays around it are flat:
:func:`find_pairs` puts the pairs of many structures one after another, and what follows has no
Python per structure. :func:`find_neighbors` is the same for one structure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.structures import Crystal, StructureSet

SAME_SITE = 1e-8
"""Distance (Å) under which two points are one and the same site."""


class Pairs(NamedTuple):
    """Pairs of many structures within a cutoff, structure by structure.

    An atom makes no pair with itself, but with its images. Atoms are counted through the set of
    structures.

    Attributes:
        center: index of the central atom, int64 [n_pairs].
        neighbor: index of the other atom, int64 [n_pairs].
        image: lattice translation of the neighbour (whole numbers), float64 [n_pairs, 3].
        distance: distance in Å, float64 [n_pairs].
        ptr: pairs of structure i are rows ptr[i]:ptr[i+1], int64 [n_structures + 1].
        positions: Cartesian positions of all atoms in Å, float64 [n_atoms, 3].
    """

    center: NDArray[np.int64]
    neighbor: NDArray[np.int64]
    image: NDArray[np.float64]
    distance: NDArray[np.float64]
    ptr: NDArray[np.int64]
    positions: NDArray[np.float64]


class Neighbors(NamedTuple):
    """Directed pairs of one structure within a cutoff, ascending by centre.

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
    """Return all pairs of one structure closer than ``cutoff`` (Å).

    Raises:
        InputError: an atom has no neighbour within the cutoff, or the cell has no volume.
    """
    pairs = find_pairs(StructureSet.from_any([crystal]), cutoff)
    order = np.argsort(pairs.center, kind="stable")
    center, neighbor, image = pairs.center[order], pairs.neighbor[order], pairs.image[order]
    vector = pairs.positions[center] - pairs.positions[neighbor] - image @ crystal.cell
    return Neighbors(center, neighbor, image.astype(np.int64), pairs.distance[order], vector)


def find_pairs(crystals: StructureSet, cutoff: float, *, half: bool = False) -> Pairs:
    """Return all pairs of many structures (at least one) closer than ``cutoff`` (Å).

    Args:
        half: one of the two directions of every pair only: from the atom that comes first, and, of
            an atom and its images, along the translation whose first number that is not 0 is
            positive. Rounding cannot then put a pair inside the cutoff in one direction only.

    Raises:
        InputError: an atom has no neighbour within the cutoff, or a cell has no volume. Which
            structure it is, the message does not say.
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    if (np.abs(np.linalg.det(crystals.cells)) < 1e-6).any():
        raise InputError("The cell has no volume: check the lattice vectors.")
    periodic = np.ones(3, dtype=np.int64)
    positions = np.empty((len(crystals.numbers), 3))
    found = []
    for number, cell in enumerate(np.ascontiguousarray(crystals.cells, dtype=np.float64)):
        atoms = slice(crystals.ptr[number], crystals.ptr[number + 1])
        inside = np.matmul(crystals.frac_coords[atoms], cell, out=positions[atoms])
        found.append(
            find_points_in_spheres(
                all_coords=inside,
                center_coords=inside,
                r=float(cutoff),
                pbc=periodic,
                lattice=cell,
                tol=SAME_SITE,
            )
        )
    center, neighbor, image, distance = map(np.concatenate, zip(*found, strict=True))
    found_ptr = np.concatenate([[0], np.cumsum([len(columns[0]) for columns in found])])
    kept = np.flatnonzero(_ahead(center, neighbor, image) if half else _apart(center, neighbor, distance))
    ptr = np.searchsorted(kept, found_ptr)
    first_atom = np.repeat(crystals.ptr[:-1], np.diff(ptr))
    pairs = Pairs(
        center[kept] + first_atom, neighbor[kept] + first_atom, image[kept], distance[kept], ptr, positions
    )
    _refuse_isolated_atoms(pairs, crystals, cutoff)
    return pairs


def _apart(
    center: NDArray[np.int64], neighbor: NDArray[np.int64], distance: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which pairs are not of an atom with itself."""
    apart: NDArray[np.bool_] = (center != neighbor) | (distance > SAME_SITE)
    return apart


def _ahead(
    center: NDArray[np.int64], neighbor: NDArray[np.int64], image: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which pairs go in the direction that stands for both."""
    ahead = center < neighbor
    images_of_itself = np.flatnonzero(center == neighbor)
    a, b, c = image[images_of_itself].T
    ahead[images_of_itself] = (a > 0) | ((a == 0) & ((b > 0) | ((b == 0) & (c > 0))))
    return ahead


def _refuse_isolated_atoms(pairs: Pairs, crystals: StructureSet, cutoff: float) -> None:
    met = np.zeros(len(crystals.numbers), dtype=bool)
    met[pairs.center] = met[pairs.neighbor] = True
    if met.all():
        return
    isolated = np.flatnonzero(~met)
    owner = np.searchsorted(crystals.ptr, isolated, side="right") - 1
    atom, more = isolated[0] - crystals.ptr[owner[0]], np.count_nonzero(owner == owner[0]) - 1
    raise InputError(
        f"Atom {atom} has no neighbour within {cutoff:g} Å"
        + (f" (nor have {more} others)" if more else "")
        + ": check lattice and units."
    )
