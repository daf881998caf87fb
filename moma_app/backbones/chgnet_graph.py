"""CHGNet's atom graph and bond graph as flat arrays.

Deng et al., Nat. Mach. Intell. 5, 1031 (2023): pairs within 6 Å exchange messages; bonds shorter
than 3 Å also exchange messages with the bonds they meet at an atom, through the angle between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moma_app.backbones.elements import check_elements
from moma_app.backbones.graphs import Field, GraphSet, Schema
from moma_app.backbones.neighbors import Pairs, find_pairs
from moma_app.structures import StructureSet

ATOM_CUTOFF = 6.0
BOND_CUTOFF = 3.0
MAX_NUMBER = 94
STABILITY = 1 - 1e-6
"""Factor on cosines before the arccosine, as CHGNet was trained with."""

SCHEMA = Schema(
    {
        "numbers": Field("atom", "int16"),
        # Directed pairs within 6 Å, ascending by centre.
        "edge_center": Field("edge", "int32", refers_to="atom"),
        "edge_neighbor": Field("edge", "int32", refers_to="atom"),
        "edge_bond": Field("edge", "int32", refers_to="bond"),
        # One row for both directions of a pair; a bond shorter than 3 Å has a row among the short ones.
        "bond_length": Field("bond", "float32"),
        "short_bond": Field("short", "int32", refers_to="bond"),
        # Directed short bonds, ascending by centre; two for each short bond.
        "arm_center": Field("arm", "int32", refers_to="atom"),
        "arm_short": Field("arm", "int32", refers_to="short"),
        # Ordered pairs of different arms at one atom, ascending by the first.
        "angle_first": Field("angle", "int32", refers_to="arm"),
        "angle_second": Field("angle", "int32", refers_to="arm"),
        "angle": Field("angle", "float32"),
    }
)


def build_graphs(crystals: StructureSet) -> GraphSet:
    """Build the graphs of many structures (at least one) together.

    Raises:
        InputError: in one of the structures CHGNet does not know an element, an atom has no neighbour
            within 6 Å, or the cell has no volume.
    """
    check_elements(crystals.numbers, MAX_NUMBER, "chgnet")
    bonds = find_pairs(crystals, ATOM_CUTOFF, half=True)
    n_bonds = len(bonds.center)
    center = np.concatenate([bonds.center, bonds.neighbor])
    order = _stable_order(center, len(crystals.numbers))
    edge_center = center[order]
    edge_neighbor = np.concatenate([bonds.neighbor, bonds.center])[order]
    backward = order >= n_bonds
    edge_bond = order - n_bonds * backward

    is_short = bonds.distance < BOND_CUTOFF
    short_bond = np.flatnonzero(is_short)
    short_of_bond = np.cumsum(is_short) - 1
    arms = np.flatnonzero(is_short[edge_bond])
    arm_center, arm_short = edge_center[arms], short_of_bond[edge_bond[arms]]
    direction = _directions(bonds, short_bond, crystals)[arm_short]
    direction[backward[arms]] *= -1
    n_arms = np.bincount(arm_center, minlength=len(crystals.numbers))
    first, second = _ordered_pairs_within_groups(n_arms)
    cosine = np.zeros(len(first))
    for axis in direction.T.copy():
        cosine += axis[first] * axis[second]

    atom, bond = crystals.ptr, bonds.ptr
    short, arm = np.searchsorted(short_bond, bond), np.concatenate([[0], np.cumsum(n_arms)])[atom]
    angle = np.searchsorted(first, arm)
    return GraphSet.from_counted_through(
        SCHEMA,
        {
            "numbers": crystals.numbers,
            "edge_center": edge_center,
            "edge_neighbor": edge_neighbor,
            "edge_bond": edge_bond,
            "bond_length": bonds.distance,
            "short_bond": short_bond,
            "arm_center": arm_center,
            "arm_short": arm_short,
            "angle_first": first,
            "angle_second": second,
            "angle": np.arccos(np.clip(cosine, -1, 1) * STABILITY),
        },
        {"atom": atom, "edge": 2 * bond, "bond": bond, "short": short, "arm": arm, "angle": angle},
    )


def _stable_order(values: NDArray[np.int64], upper: int) -> NDArray[np.int64]:
    """Return the stable order of values below ``upper``; NumPy sorts 16-bit integers much the fastest."""
    return np.argsort(values.astype(np.uint16) if upper <= 2**16 else values, kind="stable")


def _directions(bonds: Pairs, chosen: NDArray[np.int64], crystals: StructureSet) -> NDArray[np.float64]:
    """Return unit vectors from neighbour to centre of the chosen bonds, float64 [n_chosen, 3]."""
    center, neighbor = bonds.center[chosen], bonds.neighbor[chosen]
    owner = np.searchsorted(bonds.ptr, chosen, side="right") - 1
    shift = np.einsum("ij,ijk->ik", bonds.image[chosen], crystals.cells[owner])
    vector = bonds.positions[center] - bonds.positions[neighbor] - shift
    directions: NDArray[np.float64] = vector / bonds.distance[chosen, None]
    return directions


def _ordered_pairs_within_groups(size: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all ordered pairs of different positions within consecutive groups of the given sizes."""
    start = np.repeat(np.cumsum(size) - size, size)
    partners = np.repeat(size, size) - 1
    first = np.repeat(np.arange(len(start)), partners)
    second = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners - start, partners)
    second += second >= first
    return first, second
