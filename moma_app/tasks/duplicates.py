"""Structures that stand twice: within a task, and in other tasks.

Two structures count as one if they have the same reduced formula, volumes per atom within 5% and
fingerprints (see ``fingerprint``) within 3%. Of 592 pairs so found among 1,480 random pairs of one formula
in the shared data, 94% are the same to pymatgen's ``StructureMatcher`` (default tolerances), and
90% of its 615 pairs are found. The differences are mostly polytypes, other stackings of layers, and distorted forms.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.progress import Listener, Step, silent
from moma_app.structures import Crystal
from moma_app.tasks.data import TaskData
from moma_app.tasks.fingerprint import distances, fingerprint
from moma_app.tasks.overview import formulas_of
from moma_app.tasks.task import Task

VOLUME_TOLERANCE = 0.05
"""Largest relative difference of volumes per atom."""
TOLERANCE = 0.03
"""Largest relative distance of fingerprints."""
_TOLD_EVERY = 50
_BLOCK = 1000  # rows that are compared at once

_Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Duplicate:
    """A row and the row that repeats it most closely.

    Attributes:
        position, id, target: of the task's row.
        task: where the other row stands; the task itself if it repeats one of its own earlier rows.
        other_position, other_id: of that row.
        other_target: its target; None where the tasks have different units or kinds.
        identical: whether all numbers of both structures are the same.
        distance: of the fingerprints, to six decimals.
        same: whether pymatgen's matcher agrees; None where it was not asked.
    """

    position: int
    id: str
    target: float
    task: str
    other_position: int
    other_id: str
    other_target: float | None
    identical: bool
    distance: float
    same: bool | None = None


@dataclass(frozen=True)
class Compared:
    """One task that was looked through: its rows, and how many rows of ours occur in it."""

    task: str
    rows: int
    repeated: int


@dataclass(frozen=True)
class DuplicateReport:
    """What was found.

    Attributes:
        task: whose rows they are.
        rows: how many it has.
        unit: of its targets.
        compared: the tasks that were looked through, itself first.
        pairs: for each row at most one of each task; those of the task itself first, in the order of rows.
    """

    task: str
    rows: int
    unit: str
    compared: list[Compared] = field(default_factory=list)
    pairs: list[Duplicate] = field(default_factory=list)

    def closest(self, most: int) -> list[Duplicate]:
        """Return the pairs that are most alike, at most so many."""
        return sorted(self.pairs, key=lambda pair: (not pair.identical, pair.distance))[:most]

    def to_dict(self, most: int | None = None) -> dict[str, Any]:
        """Return a JSON-ready form, with the ``most`` closest pairs or all."""
        pairs = self.pairs if most is None else self.closest(most)
        return {**asdict(self), "pairs": [asdict(pair) for pair in pairs], "n_pairs": len(self.pairs)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DuplicateReport:
        """Rebuild a report from :meth:`to_dict`; it has the pairs that were kept there."""
        return cls(
            data["task"],
            data["rows"],
            data["unit"],
            [Compared(**one) for one in data["compared"]],
            [Duplicate(**pair) for pair in data["pairs"]],
        )


def find_duplicates(
    data: TaskData, others: Sequence[Task] = (), progress: Listener = silent
) -> DuplicateReport:
    """Find rows of a task whose structures stand in it, or in other tasks, once more.

    Args:
        data: the task's rows.
        others: tasks to look through, loaded one after another; the task itself among them is left out.
        progress: told of each task, and between formulas; what it raises stops the search.

    Raises:
        DataNotFoundError: the data of another task is not here.
    """
    others = [other for other in others if other.name != data.spec.name]
    total = len(others) + 1
    ours = _Rows(data)
    search = _Search()
    report = DuplicateReport(data.spec.name, len(data), data.spec.unit)
    for done, other in enumerate((None, *others)):
        name = data.spec.name if other is None else other.name
        tell = partial(
            progress, Step(what=f"comparing with {name}", done=done, total=total, fraction=done / total)
        )
        tell()
        theirs = ours if other is None else _Rows(other.load(), ours.by_formula)
        found = sorted(search.pairs(ours, theirs, tell), key=lambda pair: pair.position)
        report.pairs.extend(found)
        report.compared.append(Compared(name, len(theirs.data), len(found)))
    progress(Step(what="comparing tasks", done=total, total=total, fraction=1.0))
    return report


def confirmed(pair: Duplicate, ours: TaskData, theirs: TaskData) -> Duplicate:
    """Return a pair with the word of pymatgen's ``StructureMatcher`` (default tolerances) on it.

    Args:
        pair: a pair of rows.
        ours: the rows of the report's task.
        theirs: the rows of the task that the pair names.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    one, other = ours.structures[pair.position], theirs.structures[pair.other_position]
    same = bool(StructureMatcher().fit(one.to_pymatgen(), other.to_pymatgen()))
    return replace(pair, same=same)


class _Rows:
    """Rows of a task by their formula.

    Args:
        data: the rows.
        formulas: keep only rows of these; all if None.
    """

    def __init__(self, data: TaskData, formulas: Container[str] | None = None) -> None:
        self.data = data
        structures = data.structures
        self.volumes = np.abs(np.linalg.det(structures.cells)) / structures.n_atoms
        positions: defaultdict[str, list[int]] = defaultdict(list)
        for position, formula in enumerate(formulas_of(structures)):
            if formulas is None or formula in formulas:
                positions[formula].append(position)
        self.by_formula = {formula: np.array(rows) for formula, rows in positions.items()}


class _Search:
    """Compares rows; remembers the fingerprints of structures, many of which stand in several tasks."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._fingerprints: dict[int, NDArray[np.float64]] = {}

    def pairs(self, ours: _Rows, theirs: _Rows, tell: Callable[[], None]) -> Iterator[Duplicate]:
        """Yield for each of our rows the row of theirs that repeats it; within a task an earlier one."""
        comparable = ours.data.spec.unit == theirs.data.spec.unit and (
            ours.data.spec.kind == theirs.data.spec.kind
        )
        for count, (formula, mine) in enumerate(ours.by_formula.items()):
            if count % _TOLD_EVERY == 0:
                tell()
            other = theirs.by_formula.get(formula)
            if other is None or (theirs is ours and len(mine) < 2):
                continue
            for block in np.array_split(mine, math.ceil(len(mine) / _BLOCK)):
                for row, twin, distance, identical in self._nearest(ours, block, theirs, other, tell):
                    target = float(theirs.data.targets[twin])
                    yield Duplicate(
                        position=row,
                        id=ours.data.ids[row],
                        target=float(ours.data.targets[row]),
                        task=theirs.data.spec.name,
                        other_position=twin,
                        other_id=theirs.data.ids[twin],
                        other_target=target if comparable else None,
                        identical=identical,
                        distance=distance,
                    )

    def _nearest(
        self, ours: _Rows, mine: _Positions, theirs: _Rows, other: _Positions, tell: Callable[[], None]
    ) -> Iterator[tuple[int, int, float, bool]]:
        """Yield position, position of the closest row of theirs, distance and identity, of rows of one formula."""
        ratio = np.log(ours.volumes[mine])[:, None] - np.log(theirs.volumes[other])[None]
        near = np.abs(ratio) <= VOLUME_TOLERANCE
        if theirs is ours:
            near &= other[None] < mine[:, None]
        if not near.any():
            return
        my_keys = np.array([self._key(ours.data.structures[i]) for i in mine.tolist()])
        their_keys = np.array([self._key(theirs.data.structures[i]) for i in other.tolist()])
        same = near & (my_keys[:, None] == their_keys[None])
        apart = np.where(same, 0.0, np.inf)
        unsure = near & ~same.any(axis=1)[:, None]
        rows, columns = np.flatnonzero(unsure.any(axis=1)), np.flatnonzero(unsure.any(axis=0))
        if len(rows):
            found = distances(
                self._vectors(ours, mine[rows], my_keys[rows], tell),
                self._vectors(theirs, other[columns], their_keys[columns], tell),
            )
            asked = np.ix_(rows, columns)
            apart[asked] = np.where(unsure[asked], np.round(found, 6), apart[asked])
        best = apart.argmin(axis=1)
        for i in np.flatnonzero(apart.min(axis=1) <= TOLERANCE):
            yield int(mine[i]), int(other[best[i]]), float(apart[i, best[i]]), bool(same[i, best[i]])

    def _key(self, crystal: Crystal) -> int:
        """Return a number that two crystals share if all their numbers are the same."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (crystal.numbers, crystal.cell, crystal.frac_coords):
            digest.update(np.ascontiguousarray(array).tobytes())
        return self._known.setdefault(digest.digest(), len(self._known))

    def _vectors(
        self, rows: _Rows, positions: _Positions, keys: NDArray[np.int64], tell: Callable[[], None]
    ) -> NDArray[np.float64]:
        for position, key in zip(positions.tolist(), keys.tolist(), strict=True):
            if key not in self._fingerprints:
                self._fingerprints[key] = fingerprint(rows.data.structures[position])
                if len(self._fingerprints) % _TOLD_EVERY == 0:
                    tell()
        return np.stack([self._fingerprints[key] for key in keys.tolist()])
