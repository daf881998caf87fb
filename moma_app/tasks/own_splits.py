"""A user's own split of their own task: by given parts, by fractions, by groups, by held-out elements.

It is written beside the task's data in the form of the published splits, so that everything that
reads a split reads it too; ``Split.origin`` is then ``own``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moma_app.errors import InputError
from moma_app.files import atomic_write_text, lock_for
from moma_app.tasks.catalogue import catalogue
from moma_app.tasks.data import TaskData
from moma_app.tasks.dividing import Group, Parts, divider
from moma_app.tasks.splits import FRACTIONS, PARTS
from moma_app.tasks.task import Task, split_file

SEEDS = 5
"""Splits that are written where nothing else is asked for: by the seeds 0 to 4, as the published ones."""
SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""What stands for a part in a column of a user's file, in any case."""


@dataclass(frozen=True)
class OwnSplit:
    """What was written.

    Attributes:
        path: the split file.
        sizes: rows of train, validation and test, for each seed.
    """

    path: Path
    sizes: list[tuple[int, int, int]]


def set_split(
    task: Task,
    *,
    parts: Sequence[str] | None = None,
    fractions: Sequence[float] = FRACTIONS,
    group: Group | None = None,
    held_out: Iterable[str] = (),
    seeds: int = SEEDS,
) -> OwnSplit:
    """Give a user's task a split of its own, in place of the random one.

    Args:
        task: a task that was imported.
        parts: the part of each row in the order of the data (``train``, ``val``, ``test``; empty for
            none). Every seed then has the same split, and the other arguments do not matter.
        fractions: of train, validation and test, with the sum 1.
        group: keep rows of one formula, or of one set of elements, in one part.
        held_out: symbols of elements; structures with one of them are the test part, and the others
            are divided into train and validation in the proportion of ``fractions``.
        seeds: number of splits, by the seeds 0, 1, …

    Raises:
        InputError: the task is not the user's own, or no part can be made as asked.
        DataNotFoundError: there is no data.
    """
    folder = _own_folder(task)
    data = task.load()
    if seeds < 1:
        raise InputError(f"A split needs at least one seed, not {seeds}.")
    if parts is not None:
        return write_splits(folder, data, [given_parts(data, parts)] * seeds)
    shares = _checked(fractions)
    divide = divider(data.structures, shares, group, tuple(held_out))
    return write_splits(folder, data, [divide(np.random.default_rng(seed)) for seed in range(seeds)])


def clear_split(task: Task) -> bool:
    """Remove a user's own split, so that the task is split at random again; say whether there was one.

    Raises:
        InputError: the task is not the user's own.
    """
    path = split_file(_own_folder(task), task.name)
    there = path.is_file()
    path.unlink(missing_ok=True)
    return there


def given_parts(data: TaskData, parts: Sequence[str]) -> Parts:
    """Return the positions of a split that is given row by row; see :func:`set_split`.

    Raises:
        InputError: too many or too few parts, one that is not known, or an empty one.
    """
    if len(parts) != len(data):
        raise InputError(f"{len(parts)} parts are given for the {len(data)} rows of {data.spec.name}.")
    named = np.array([part_of(part) for part in parts])
    train, val, test = (np.flatnonzero(named == part).astype(np.int64) for part in PARTS)
    _refuse_empty((train, val, test))
    return train, val, test


def part_of(text: str) -> str:
    """Return ``train``, ``val`` or ``test`` as a user may spell it; empty for an empty text.

    Raises:
        InputError: it is no part.
    """
    part = text.strip().lower()
    if part and part not in SPELLINGS:
        raise InputError(f"{text.strip()[:40]!r} is no part of a split: train, val or test is expected.")
    return SPELLINGS.get(part, "")


def _own_folder(task: Task) -> Path:
    """Return the data folder of a user's task."""
    if task.name in catalogue():
        raise InputError(
            f"{task.name} is a task of the catalogue, whose splits are the same for everybody: "
            "import its rows under a name of your own to split them otherwise."
        )
    path = task.path
    if path is None:
        raise InputError(f"The data of {task.name} is not on this machine.")
    return path.parents[1]


def _checked(fractions: Sequence[float]) -> tuple[float, float, float]:
    shown = ", ".join(f"{share:g}" for share in fractions)
    if len(fractions) != len(PARTS):
        raise InputError(f"Three fractions are expected (train, validation, test), not {shown or 'none'}.")
    if not all(math.isfinite(share) and share > 0 for share in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"The fractions {shown} are not three positive numbers with the sum 1.")
    train, val, test = fractions
    return train, val, test


def write_splits(folder: Path, data: TaskData, splits: Sequence[Parts]) -> OwnSplit:
    """Write a user's own splits, one for each seed, to a data folder.

    Raises:
        InputError: a part is empty, the data has a row number twice, or the file cannot be written.
    """
    if len(np.unique(data.rows)) != len(data):
        raise InputError(f"{data.spec.name} has row numbers that stand twice: import it again to split it.")
    for split in splits:
        _refuse_empty(split)
    named = [
        {part: data.rows[positions].tolist() for part, positions in zip(PARTS, split, strict=True)}
        for split in splits
    ]
    path = split_file(folder, data.spec.name)
    try:
        with lock_for(path):
            atomic_write_text(path, json.dumps(named))
    except OSError as exc:
        raise InputError(f"{path} cannot be written: {exc.strerror or exc}.") from exc
    return OwnSplit(path, [(len(train), len(val), len(test)) for train, val, test in splits])


def _refuse_empty(split: Parts) -> None:
    for part, positions in zip(PARTS, split, strict=True):
        if not len(positions):
            raise InputError(f"The part {part} would be empty: each part needs at least one row.")
