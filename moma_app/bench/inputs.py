"""The structures that a case works on: chosen once, handed to both sides in one file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from moma_app.bench.cases import Case
from moma_app.bench.sizes import required
from moma_app.errors import InputError
from moma_app.structures import StructureSet
from moma_app.tasks import get_task

SEED = 0
BYTES = 4
"""Of a parameter in float32."""
SPARE = 1.05
"""A disk must have so many times the room that files need."""
Chosen = tuple[StructureSet, NDArray[np.float64]]
"""Structures and their targets."""


def check_data(cases: Iterable[Case]) -> None:
    """Make sure that the tasks of all cases are on this machine, before the first is measured.

    Raises:
        UnknownNameError: there is no such task.
        DataNotFoundError: a task's data is not on this machine.
    """
    for name in dict.fromkeys(case.task for case in cases if case.task is not None):
        task = get_task(name)
        if not task.available:
            task.load()


def check_disk(cases: Iterable[Case]) -> None:
    """Make sure that the files of made-up modules find room, before anything is measured.

    Raises:
        InputError: the temporary folder has too little room; says how much is needed.
    """
    folder = tempfile.gettempdir()
    for case in cases:
        if case.sizes.parameters is None:
            continue
        needed = BYTES * required(case.sizes.modules) * case.sizes.parameters
        free = shutil.disk_usage(folder).free
        if free < SPARE * needed:
            raise InputError(
                f"Merging needs {needed / 1e9:,.1f} GB of temporary disk, but {folder} has {free / 1e9:,.1f} GB "
                "free: set TMPDIR to a larger disk, or give fewer --parameters or --modules."
            )


def choose_structures(case: Case) -> Chosen:
    """Return the structures of a case with their targets, the same ones each time.

    Fewer than asked for are returned where the task has no more.

    Raises:
        DataNotFoundError: the task's data is not on this machine.
    """
    assert case.task is not None
    task = get_task(case.task)
    data = task.load()
    rows = task.split(0).train if case.rows == "train" else np.random.default_rng(SEED).permutation(len(data))
    chosen = rows[: required(case.sizes.structures)]
    return data.structures.take(chosen), data.targets[chosen]


def structures_near(task: str, n_atoms: int, n: int) -> Chosen:
    """Return the ``n`` structures of a task whose numbers of atoms are nearest to ``n_atoms``.

    Raises:
        DataNotFoundError: the task's data is not on this machine.
    """
    data = get_task(task).load()
    distance = np.abs(data.structures.n_atoms - n_atoms)
    chosen = np.argsort(distance, kind="stable")[:n]
    return data.structures.take(chosen), data.targets[chosen]


def small_structures(task: str, n: int, max_atoms: int) -> Chosen:
    """Return ``n`` structures of at most ``max_atoms`` atoms, in the task's order, repeated if there are fewer.

    Raises:
        DataNotFoundError: the task's data is not on this machine.
        InputError: the task has no cell that small.
    """
    data = get_task(task).load()
    small = np.flatnonzero(data.structures.n_atoms <= max_atoms)
    if not len(small):
        raise InputError(f"The task {task} has no structure of at most {max_atoms} atoms.")
    chosen = np.resize(small, n)
    return data.structures.take(chosen), data.targets[chosen]


def write_inputs(path: Path, structures: StructureSet, targets: NDArray[np.float64]) -> None:
    """Write structures and targets to a file."""
    arrays: dict[str, NDArray[Any]] = {
        "numbers": structures.numbers,
        "cells": structures.cells,
        "frac_coords": structures.frac_coords,
        "ptr": structures.ptr,
        "targets": targets,
    }
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def read_inputs(path: str | None) -> Chosen:
    """Read what :func:`write_inputs` wrote."""
    assert path is not None
    arrays = load_file(path)
    targets = arrays.pop("targets")
    return StructureSet(**arrays), targets
