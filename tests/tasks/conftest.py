"""Every test gets a home folder of its own; the shared data is used where it lies beside the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moma_app.structures import Crystal, StructureSet
from moma_app.tasks.data import TaskData
from moma_app.tasks.specs import TaskSpec

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh home without data folders."""
    folder = tmp_path / "home"
    for name in ("MOMA_DATA", "MATMINER_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOMA_HOME", str(folder))
    return folder


@pytest.fixture
def shared_data(monkeypatch):
    """The real data beside the project, put on the search path."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared data is absent: no folder {folder}")
    monkeypatch.setenv("MOMA_DATA", str(folder))
    return folder


def rock_salt(number=11, other=17, a=5.6):
    """A primitive cell of two atoms with the lattice parameter a (Å)."""
    cell = a / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Crystal(np.array([number, other], np.int16), cell, np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]))


def make_data(n=10, name="mine", **spec):
    """A small task of n rows."""
    return TaskData(
        spec=TaskSpec(name=name, role="user", property="something", unit="eV", **spec),
        ids=[f"m-{i}" for i in range(n)],
        rows=np.arange(n, dtype=np.int32),
        structures=StructureSet.from_any([rock_salt(3 + i % 8, a=4 + 0.1 * i) for i in range(n)]),
        targets=np.linspace(-1, 2, n),
    )
