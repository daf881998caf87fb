"""Which atoms of a crystal are drawn with a bond between them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moma_app.structures import Crystal

SLACK = 0.4
"""Å that a bond may be longer than the sum of the covalent radii, as in the Cambridge Structural Database."""
SHELL = 1.1
"""In a metal, neighbours up to this multiple of the nearest one's distance are bonded."""
LARGEST_POLYHEDRON = 6
"""Corners up to which a coordination polyhedron inside the cell is completed beyond it."""
TETRAHEDRON, STRONG = 4, 0.95
"""Corners, and bond lengths in sums of covalent radii, up to which it is completed everywhere."""
METAL_REACH = 1.3
"""Multiple of the covalent radii within which a metal's nearest neighbours are looked for."""
NONMETALS = frozenset(
    (1, 2, *range(5, 11), *range(14, 19), *range(32, 37), *range(51, 55), 85, 86)
)  # H, He, B to Ne, Si to Ar, Ge to Kr, Sb to Xe, At, Rn


class Bonds(NamedTuple):
    """Bonded pairs of a crystal, each in both directions, by their centre.

    Attributes:
        center, neighbor: atoms, int64 [n].
        image: lattice translation of the neighbour, int64 [n, 3].
        inside: whether the neighbour is drawn beyond the cell if the centre lies inside of it, bool [n].
        always: whether it is drawn wherever the centre is drawn, bool [n].
    """

    center: NDArray[np.int64]
    neighbor: NDArray[np.int64]
    image: NDArray[np.int64]
    inside: NDArray[np.bool_]
    always: NDArray[np.bool_]


def find_bonds(crystal: Crystal, coords: NDArray[np.float64]) -> Bonds:
    """Return the bonds of a crystal.

    Atoms are bonded up to the sum of their covalent radii (Cordero et al., Dalton Trans. 2008, 2832)
    and 0.4 Å; metals in a compound with non-metals not among themselves. Where all are metals, the
    nearest shell is bonded. Beyond the cell, small polyhedra of a larger atom with smaller non-metals are
    completed: those inside the cell, and strongly bonded ones such as SiO4, PO4 and CO3 everywhere.

    Args:
        crystal: the structure.
        coords: its fractional coordinates [n_atoms, 3], to which the translations refer.
    """
    from ase.neighborlist import primitive_neighbor_list

    radii = element_tables()[2][crystal.numbers]
    nonmetal = np.isin(crystal.numbers, list(NONMETALS))
    metallic = not nonmetal.any()
    reach = radii * METAL_REACH if metallic else radii
    center, neighbor, image, distance = primitive_neighbor_list(
        "ijSd", (True, True, True), crystal.cell, coords, reach + SLACK / 2, use_scaled_positions=True
    )
    if metallic:
        nearest = np.full(len(crystal), np.inf)
        np.minimum.at(nearest, center, distance)
        kept = distance <= SHELL * np.maximum(nearest[center], nearest[neighbor])
    else:
        kept = nonmetal[center] | nonmetal[neighbor]
    order = np.flatnonzero(kept)
    order = order[np.argsort(center[order], kind="stable")]
    center, neighbor, image, distance = center[order], neighbor[order], image[order], distance[order]
    corners = np.bincount(center, minlength=len(crystal))[center]
    outer = nonmetal[neighbor] & (radii[neighbor] < radii[center])
    strong = distance < STRONG * (radii[center] + radii[neighbor])
    return Bonds(
        center,
        neighbor,
        image,
        inside=outer & (corners <= LARGEST_POLYHEDRON),
        always=outer & strong & (corners <= TETRAHEDRON),
    )


@cache
def element_tables() -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """Return symbols, Jmol's colours (as ``#rrggbb``) and covalent radii (Å) by atomic number."""
    from ase.data import chemical_symbols, covalent_radii
    from ase.data.colors import jmol_colors

    grey = [(0.75, 0.75, 0.75)] * (len(chemical_symbols) - len(jmol_colors))
    rgb = np.rint(np.vstack([jmol_colors, *grey]) * 255).astype(int)
    return tuple(chemical_symbols), tuple("#{:02x}{:02x}{:02x}".format(*c) for c in rgb), covalent_radii
