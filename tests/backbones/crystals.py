"""Structures of other libraries and of the reference data, for tests of backbones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from moma_app.structures import Crystal

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def to_ase(crystal: Crystal) -> Atoms:
    return Atoms(crystal.numbers, cell=crystal.cell, scaled_positions=crystal.frac_coords, pbc=True)


def read_crystals(path: Path, count: int, max_atoms: int) -> list[Crystal]:
    """Read the first structures of at most ``max_atoms`` atoms of a task's Parquet file."""
    from pyarrow import parquet

    rows = (
        parquet.read_table(path, columns=["numbers", "cell", "frac_coords"]).slice(0, 20 * count).to_pylist()
    )
    found = [
        Crystal(
            np.array(row["numbers"], dtype=np.int16),
            np.array(row["cell"], dtype=np.float64).reshape(3, 3),
            np.array(row["frac_coords"], dtype=np.float64).reshape(-1, 3),
        )
        for row in rows
        if len(row["numbers"]) <= max_atoms
    ]
    assert len(found) >= count
    return found[:count]
