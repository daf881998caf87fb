"""Structures and files that several tests of backbones use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ase.build
import ase.spacegroup
import numpy as np
import pytest
import torch
from crystals import SHARED

from moma_app.structures import Crystal


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: these networks are tiny, and tests may run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"reference data not found: there is no {SHARED}")
    return SHARED


def symmetric_crystals() -> list[Crystal]:
    perovskite = ase.spacegroup.crystal(
        ["Sr", "Ti", "O"],
        [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)],
        spacegroup=221,
        cellpar=[3.9, 3.9, 3.9, 90, 90, 90],
    )
    quartz = ase.spacegroup.crystal(
        ["Si", "O"],
        [(0.4697, 0, 0), (0.4133, 0.2672, 0.1188)],
        spacegroup=152,
        cellpar=[4.916, 4.916, 5.405, 90, 90, 120],
    )
    atoms = [
        ase.build.bulk("Fe", "bcc", a=2.87),
        ase.build.bulk("Mg", "hcp", a=3.21, c=5.21),
        ase.build.bulk("NaCl", "rocksalt", a=5.64),
        ase.build.bulk("GaAs", "zincblende", a=5.65, cubic=True),
        perovskite,
        quartz,
    ]
    return [Crystal.from_any(a) for a in atoms]


def distort(crystal: Crystal, seed: int = 0) -> Crystal:
    """Strain the cell and move the atoms, so that no two distances agree."""
    random = np.random.default_rng(seed)
    strain = np.eye(3) + 0.03 * random.normal(size=(3, 3))
    shift = 0.05 * random.normal(size=(len(crystal), 3)) @ np.linalg.inv(crystal.cell)
    return Crystal(crystal.numbers, crystal.cell @ strain, crystal.frac_coords + shift)


@pytest.fixture(scope="session")
def crystals() -> list[Crystal]:
    """Six crystals of 1 to 9 atoms without any symmetry."""
    return [distort(crystal, seed) for seed, crystal in enumerate(symmetric_crystals())]


@pytest.fixture(scope="session")
def ideal_crystals() -> list[Crystal]:
    """The same six crystals with their full symmetry, and with it exact ties of distances."""
    return symmetric_crystals()
