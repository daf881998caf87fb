"""A task's data at a glance: targets, elements, cell sizes, parts of a split, a few examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.formulas import SYMBOLS, reduced_formula
from moma_app.structures import StructureSet
from moma_app.tasks.data import TaskData, target_summary
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.splits import PARTS, Split
from moma_app.tasks.task import get_task
from moma_app.text import brief, count

_KEPT = 8
"""Overviews that a process remembers."""


@dataclass(frozen=True)
class Example:
    """One row as an example.

    Attributes:
        what: why it was chosen: ``smallest``, ``median`` or ``largest`` target, or the class.
        position: of the row in the task's data.
        id: its material id.
        formula: its reduced formula.
        target: in the task's unit; for classes their index.
        n_atoms: atoms in its cell.
    """

    what: str
    position: int
    id: str
    formula: str
    target: float
    n_atoms: int


@dataclass(frozen=True, eq=False)
class TaskOverview:
    """What a page shows of a task before anything is computed.

    Attributes:
        spec: what the task is, with the unit of the targets.
        targets: float64 [n], the task's own array.
        target: statistics of the targets, see :func:`moma_app.tasks.data.target_summary`.
        n_atoms: atoms in each cell, int64 [n].
        elements: number of structures that hold an element, by symbol, in the order of the periodic table.
        parts: number of rows in ``train``, ``val`` and ``test``; rows in none are counted as ``unused``.
        split: where the split comes from: ``published``, ``random`` or ``own``; empty if none was given.
        examples: rows with the smallest, the median and the largest target; of classes, one of each of the
            three most frequent.
        structures: of all rows.
    """

    spec: TaskSpec
    targets: NDArray[np.float64]
    target: dict[str, Any]
    n_atoms: NDArray[np.int64]
    elements: dict[str, int]
    parts: dict[str, int]
    split: str
    examples: tuple[Example, ...]
    structures: StructureSet

    def __repr__(self) -> str:
        return brief(self, f"{self.spec.name}: {count(len(self.targets), 'row')}")

    @cached_property
    def formulas(self) -> list[str]:
        """Reduced formulas of all rows, n of them; computed when first asked for."""
        return formulas_of(self.structures)


def overview_of(data: TaskData, split: Split | None = None) -> TaskOverview:
    """Return the overview of a task's rows.

    Args:
        data: the rows.
        split: of these rows, for the sizes of its parts.
    """
    return TaskOverview(
        spec=data.spec,
        targets=data.targets,
        target=target_summary(data.targets, data.spec),
        n_atoms=data.structures.n_atoms,
        elements=element_counts(data.structures),
        parts=_parts(split, len(data)),
        split="" if split is None else split.origin,
        examples=tuple(_examples(data)),
        structures=data.structures,
    )


def get_overview(name: str, seed: int = 0) -> TaskOverview:
    """Return the overview of task ``name`` with its split ``seed``; the last few are remembered by their files.

    Raises:
        UnknownNameError: there is no such task.
        DataNotFoundError: its data is not here.
        DamagedFileError: its data or split file cannot be used.
        InputError: it has no split of that seed.
    """
    files = get_task(name).files().values()
    return _remembered(name, seed, tuple((str(path), path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=_KEPT)
def _remembered(name: str, seed: int, _state: tuple[tuple[str, int], ...]) -> TaskOverview:
    task = get_task(name)
    return overview_of(task.load(), task.split(seed))


def element_counts(structures: StructureSet) -> dict[str, int]:
    """Return how many structures hold each element, by symbol in the order of the periodic table."""
    owner = np.repeat(np.arange(len(structures)), structures.n_atoms)
    held = np.zeros((len(structures), len(SYMBOLS)), dtype=bool)
    held[owner, structures.numbers] = True
    counts = held.sum(axis=0)
    return {SYMBOLS[number]: int(counts[number]) for number in np.flatnonzero(counts)}


def formulas_of(structures: StructureSet) -> list[str]:
    """Return the reduced formulas of all structures."""
    numbers, ptr = structures.numbers.tolist(), structures.ptr.tolist()
    return [reduced_formula(numbers[start:end]) for start, end in pairwise(ptr)]


def _parts(split: Split | None, n: int) -> dict[str, int]:
    if split is None:
        return {}
    sizes = {part: len(getattr(split, part)) for part in PARTS}
    return {**sizes, "unused": n - sum(sizes.values())}


def _examples(data: TaskData) -> list[Example]:
    if not len(data):
        return []
    if data.spec.kind == "classification":
        classes, first, counts = np.unique(data.targets, return_index=True, return_counts=True)
        chosen = [
            (
                data.spec.classes[int(classes[i])] if data.spec.classes else f"class {int(classes[i])}",
                first[i],
            )
            for i in np.argsort(-counts, kind="stable")[:3]
        ]
    else:
        order = np.argsort(data.targets, kind="stable")
        places = {"smallest": 0, "median": (len(order) - 1) // 2, "largest": len(order) - 1}
        chosen = [(what, order[place]) for what, place in places.items()]
    return [_example(data, what, int(position)) for what, position in chosen]


def _example(data: TaskData, what: str, position: int) -> Example:
    crystal = data.structures[position]
    return Example(
        what=what,
        position=position,
        id=data.ids[position],
        formula=reduced_formula(crystal.numbers.tolist()),
        target=float(data.targets[position]),
        n_atoms=len(crystal),
    )
