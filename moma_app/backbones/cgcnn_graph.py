"""CGCNN's crystal graph: the nearest neighbours of each atom, and what is known of each element.

Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018), with the settings of Chang et al., npj
Comput. Mater. 8, 242 (2022): the 12 nearest neighbours within 8 Å.

Where neighbours 12 and 13 are equally far, "the 12 nearest" does not say which to take. The
authors take whichever their neighbour search lists first, which changes when the crystal is
rotated. Here distances that agree within ``TIE`` count as equal, and the lighter element goes
first; so the choice depends on the cell's setting only if neighbours of the same element, but in
different surroundings, tie.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.backbones.elements import check_elements
from moma_app.backbones.graphs import Field, GraphSet, Schema
from moma_app.backbones.neighbors import Neighbors, Pairs, find_pairs
from moma_app.structures import StructureSet

CUTOFF = 8.0
MAX_NEIGHBORS = 12
TIE = 1e-5
"""Distances (Å) closer than this are one distance: rounding in cells and coordinates is smaller."""

CLASSES = {
    "group": 19,
    "period": 7,
    "electronegativity": 10,
    "covalent_radius": 10,
    "valence_electrons": 12,
    "ionization_energy": 10,
    "electron_affinity": 10,
    "block": 4,
    "atomic_volume": 10,
}
"""Properties of an element that the network is told, and into how many classes each is cut."""

N_ELEMENT_FEATURES = sum(CLASSES.values())
MAX_NUMBER = 100

SCHEMA = Schema(
    {
        "numbers": Field("atom", "int16"),
        # Directed pairs, ascending by centre; an atom has 12, or fewer if 8 Å hold no more.
        "edge_center": Field("edge", "int32", refers_to="atom"),
        "edge_neighbor": Field("edge", "int32", refers_to="atom"),
        "distance": Field("edge", "float32"),
    }
)


def build_graphs(crystals: StructureSet) -> GraphSet:
    """Build the graphs of many structures (at least one) together.

    An atom with fewer than 12 neighbours has fewer edges. (The authors fill the missing ones with
    the crystal's first atom at 9 Å, so that the result depends on the order of the atoms.)

    Raises:
        InputError: in one of the structures the table lacks an element, an atom has no neighbour within
            8 Å, or the cell has no volume.
    """
    check_elements(crystals.numbers, MAX_NUMBER, "cgcnn")
    pairs = find_pairs(crystals, CUTOFF)
    chosen = nearest(pairs, crystals.numbers)
    center = pairs.center[chosen]
    return GraphSet.from_counted_through(
        SCHEMA,
        {
            "numbers": crystals.numbers,
            "edge_center": center,
            "edge_neighbor": pairs.neighbor[chosen],
            "distance": pairs.distance[chosen],
        },
        {"atom": crystals.ptr, "edge": np.searchsorted(center, crystals.ptr)},
    )


def nearest(
    pairs: Neighbors | Pairs, numbers: NDArray[np.integer[Any]], k: int = MAX_NEIGHBORS
) -> NDArray[np.int64]:
    """Return positions in ``pairs`` of the ``k`` nearest of each centre, ascending by centre and distance.

    Ties go to the lighter element, then to the lower index in ``numbers``, then in order of images.
    """
    by_distance = np.lexsort((pairs.distance, pairs.center))
    center, distance = pairs.center[by_distance], pairs.distance[by_distance]
    shell = np.cumsum(np.diff(center, prepend=-1).astype(bool) | (np.diff(distance, prepend=0) > TIE))
    counts = np.bincount(center, minlength=len(numbers))
    first = np.cumsum(counts) - counts
    last_shell = shell[first + np.minimum(counts, k) - 1]
    near = np.flatnonzero(shell <= last_shell[center])  # the others need no order among themselves
    by_distance, shell, center = by_distance[near], shell[near], center[near]

    neighbor = pairs.neighbor[by_distance]
    order = by_distance[np.lexsort((*pairs.image[by_distance].T, neighbor, numbers[neighbor], shell))]
    counts = np.bincount(center, minlength=len(numbers))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[rank < k]


@cache
def element_features() -> NDArray[np.float32]:
    """Return the 92 features, each 0 or 1, of the elements H to Fm: float32 [100, 92]."""
    text = files("moma_app.backbones").joinpath("cgcnn_elements.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    features = np.zeros((MAX_NUMBER, N_ELEMENT_FEATURES), dtype=np.float32)
    for row in rows:
        first = 0
        for name, n_classes in CLASSES.items():
            if row[name]:
                features[int(row["Z"]) - 1, first + int(row[name])] = 1
            first += n_classes
    features.setflags(write=False)
    return features
