"""CHGNet's atom graph and bond graph as flat arrays.

Deng et al., Nat. Mach. Intell. 5, 1031 (2023): pairs within 6 Å exchange messages; bonds shorter
than 3 Å also exchange messages with the bonds they meet at an atom, through the angle between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.backbones.graphs import Field, Graph, Schema
from moma_app.backbones.neighbors import find_neighbors, symmetric_pairs
from moma_app.structures import Crystal

ATOM_CUTOFF = 6.0
BOND_CUTOFF = 3.0
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


def build_graph(crystal: Crystal) -> Graph:
    """Build the graph of one structure.

    Raises:
        InputError: an atom has no neighbour within 6 Å, or the cell has no volume.
    """
    pairs, reverse = symmetric_pairs(find_neighbors(crystal, ATOM_CUTOFF))
    is_representative = np.arange(len(reverse)) < reverse
    edge_bond = np.empty(len(reverse), dtype=np.int64)
    edge_bond[is_representative] = np.arange(is_representative.sum())
    edge_bond[~is_representative] = edge_bond[reverse[~is_representative]]
    bond_length = pairs.distance[is_representative]

    short_bond = np.flatnonzero(bond_length < BOND_CUTOFF)
    short_of_bond = np.full(len(bond_length), -1)
    short_of_bond[short_bond] = np.arange(len(short_bond))
    arms = np.flatnonzero(short_of_bond[edge_bond] >= 0)
    first, second = _ordered_pairs_within_groups(pairs.center[arms])
    direction = pairs.vector[arms] / pairs.distance[arms, None]
    cosine = np.einsum("ij,ij->i", direction[first], direction[second])
    return Graph(
        SCHEMA,
        {
            "numbers": crystal.numbers,
            "edge_center": pairs.center,
            "edge_neighbor": pairs.neighbor,
            "edge_bond": edge_bond,
            "bond_length": bond_length,
            "short_bond": short_bond,
            "arm_center": pairs.center[arms],
            "arm_short": short_of_bond[edge_bond[arms]],
            "angle_first": first,
            "angle_second": second,
            "angle": np.arccos(np.clip(cosine, -1, 1) * STABILITY),
        },
    )


def _ordered_pairs_within_groups(group: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all ordered pairs of different positions with the same (ascending) group value."""
    _, start, size = np.unique(group, return_index=True, return_counts=True)
    partners = np.repeat(size, size)
    first = np.repeat(np.arange(len(group)), partners)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    second = np.repeat(np.repeat(start, size), partners) + offset
    different = first != second
    return first[different], second[different]
