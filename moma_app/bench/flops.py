"""Arithmetic of the CHGNet network as it is arranged here, from the counts of a graph.

Only matrix products are counted, a multiplication and an addition as two operations. What acts
on single values (normalisation, gates, sums over edges) adds roughly a tenth by count, though
more by time, because memory holds it back.
"""

from __future__ import annotations

from collections.abc import Mapping

from moma_app.backbones.chgnet import N_ANGULAR, N_LAYERS, N_RADIAL, ChgnetBackbone
from moma_app.backbones.graphs import GraphSet

WIDTH = ChgnetBackbone.info.width
GRADIENT = 3
"""A training step in units of a forward pass: the values, the gradient by inputs, that by weights."""


def forward_flop(counts: Mapping[str, int]) -> float:
    """Return the floating-point operations of one forward pass.

    With A atoms, E directed edges, B bonds, S short bonds, G angles, and w = 64 wide features:

    - embeddings: 2·31·w for each bond (feature, weight), 31·w for each short bond and each angle;
    - 4 atom convolutions: 5·w² for each atom (2·2 before the sum, 1 after), 2·w² for each bond,
      2·w² for each edge (core and gate);
    - 3 bond convolutions: 4·w² + w² for each short bond, 2·w² for each atom, 2·w² + 2·w² for
      each angle;
    - 2 angle updates: 4·w² for each short bond, 2·w² for each atom, 2·w² for each angle.

    Args:
        counts: rows by scope (``atom``, ``edge``, ``bond``, ``short``, ``angle``).
    """
    atoms, edges, bonds, short, angles = (
        counts[scope] for scope in ("atom", "edge", "bond", "short", "angle")
    )
    square = WIDTH * WIDTH
    embeddings = WIDTH * (N_RADIAL * (2 * bonds + short) + (2 * N_ANGULAR + 1) * angles)
    atom_convs = N_LAYERS * square * (5 * atoms + 2 * bonds + 2 * edges)
    bond_convs = (N_LAYERS - 1) * square * (5 * short + 2 * atoms + 4 * angles)
    angle_updates = (N_LAYERS - 2) * square * (4 * short + 2 * atoms + 2 * angles)
    return 2.0 * (embeddings + atom_convs + bond_convs + angle_updates)


def counts_of(graphs: GraphSet) -> dict[str, int]:
    """Return the number of rows in every scope of all graphs together."""
    return {scope: int(ptr[-1]) for scope, ptr in graphs.ptr.items()}
