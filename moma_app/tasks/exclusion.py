"""Rows whose structure also stands in other tasks, to be left out of training for a fair test on those.

A structure is the same as another if they have one reduced formula, volumes per atom within 1%, and
pymatgen's ``StructureMatcher`` (default tolerances) matches them. The search for duplicates
(:mod:`moma_app.tasks.duplicates`) is quicker and looser, and only informs; this one decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moma_app.progress import Listener, Step, silent
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks.overview import formulas_of

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher

VOLUME_TOLERANCE = 0.01
"""Largest relative difference of volumes per atom."""
_TOLD_EVERY = 50


def occurs_in(
    structures: StructureSet, others: Sequence[StructureSet], progress: Listener = silent
) -> NDArray[np.bool_]:
    """Return which structures also occur in one of the other sets, bool [n].

    Args:
        structures: n structures.
        others: sets to look through.
        progress: gets a ``Step`` from time to time; what it raises stops the search.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher()
    theirs = _by_formula(others)
    volumes = _volumes(structures)
    found = np.zeros(len(structures), dtype=bool)
    for row, formula in enumerate(formulas_of(structures)):
        if row % _TOLD_EVERY == 0:
            progress(
                Step(
                    what="structures compared",
                    done=row,
                    total=len(structures),
                    fraction=row / len(structures),
                )
            )
        if formula not in theirs:
            continue
        candidates, their_volumes = theirs[formula]
        near = np.flatnonzero(
            np.abs(their_volumes - volumes[row]) <= VOLUME_TOLERANCE * np.maximum(their_volumes, volumes[row])
        )
        own = structures[row]
        found[row] = any(_same(own, candidates[place], matcher) for place in near)
    return found


def _same(one: Crystal, other: Crystal, matcher: StructureMatcher) -> bool:
    if _identical(one, other):
        return True
    return bool(matcher.fit(one.to_pymatgen(), other.to_pymatgen()))


def _identical(one: Crystal, other: Crystal) -> bool:
    """Return whether all numbers are the same, which needs no matcher."""
    return (
        np.array_equal(one.numbers, other.numbers)
        and np.array_equal(one.cell, other.cell)
        and np.array_equal(one.frac_coords, other.frac_coords)
    )


def _volumes(structures: StructureSet) -> NDArray[np.float64]:
    """Return volumes per atom in Å³, [n]."""
    volumes: NDArray[np.float64] = np.abs(np.linalg.det(structures.cells)) / structures.n_atoms
    return volumes


def _by_formula(sets: Sequence[StructureSet]) -> dict[str, tuple[list[Crystal], NDArray[np.float64]]]:
    """Return the structures of each reduced formula, each once, and their volumes per atom."""
    crystals: defaultdict[str, list[Crystal]] = defaultdict(list)
    volumes: defaultdict[str, list[float]] = defaultdict(list)
    for structures in sets:
        own = _volumes(structures)
        for row, formula in enumerate(formulas_of(structures)):
            crystal = structures[row]
            if not any(
                volume == own[row] and _identical(crystal, known)
                for known, volume in zip(crystals[formula], volumes[formula], strict=True)
            ):
                crystals[formula].append(crystal)
                volumes[formula].append(float(own[row]))
    return {formula: (crystals[formula], np.array(volumes[formula])) for formula in crystals}
