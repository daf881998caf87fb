"""Rows divided into train, validation and test: at random, by groups, or by elements that are held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.formulas import reduced_formula
from moma_app.structures import StructureSet
from moma_app.tasks.parsing import StructureError, atomic_number

Group = Literal["formula", "elements"]
"""Rows that stay together: those of one reduced formula, or of one set of elements."""
_Positions = NDArray[np.int64]
Parts = tuple[_Positions, _Positions, _Positions]
"""Positions of train, validation and test rows, int64."""


def divider(
    structures: StructureSet,
    shares: tuple[float, float, float],
    group: Group | None,
    held_out: tuple[str, ...],
) -> Callable[[np.random.Generator], Parts]:
    """Return what divides the rows, given a random generator.

    Args:
        structures: of all rows.
        shares: of train, validation and test.
        group: keep rows of one kind in one part.
        held_out: symbols of elements whose structures are the test part.

    Raises:
        InputError: from here for elements, from the function for parts that cannot be made.
    """
    labels = None if group is None else _labels(structures, group)
    if not held_out:
        return lambda rng: _three(divide(len(structures), labels, shares, rng))
    holds = _holds(structures, held_out)
    test, rest = np.flatnonzero(holds), np.flatnonzero(~holds)
    names = ", ".join(held_out)
    if not len(test):
        raise InputError(f"No structure holds {names}: there would be no test part.")
    total = shares[0] + shares[1]
    kept = None if labels is None else labels[rest]

    def without(rng: np.random.Generator) -> Parts:
        if len(rest) < 2:
            raise InputError(
                f"Only {len(rest)} structures are without {names}: train and validation need two."
            )
        train, val = divide(len(rest), kept, (shares[0] / total, shares[1] / total), rng)
        return rest[train], rest[val], test

    return without


def divide(
    n: int, labels: NDArray[np.int64] | None, shares: Sequence[float], rng: np.random.Generator
) -> list[_Positions]:
    """Return the positions of each part: rows at random, or groups of one label at random.

    Rows are taken from a permutation as :func:`moma_app.tasks.splits.random_split` takes them.

    Args:
        n: number of rows.
        labels: number of each row's group, from 0 without a gap, int64 [n]; None for rows alone.
        shares: of the parts, with the sum 1.
        rng: draws rows or groups.

    Raises:
        InputError: too few rows or groups.
    """
    later = [max(1, round(share * n)) for share in shares[1:]]
    wanted = [n - sum(later), *later]
    if wanted[0] < 1:
        raise InputError(f"{n} rows are too few for parts of {', '.join(f'{share:g}' for share in shares)}.")
    if labels is None:
        order = rng.permutation(n).astype(np.int64)
        return np.split(order, np.cumsum(wanted)[:-1])
    return _divide_groups(labels, wanted, rng)


def _divide_groups(
    labels: NDArray[np.int64], wanted: list[int], rng: np.random.Generator
) -> list[_Positions]:
    """Give groups, in random order, each to the part that lacks most rows."""
    groups = int(labels.max()) + 1
    if groups < len(wanted):
        raise InputError(f"All rows are of {groups} groups: {len(wanted)} parts need as many.")
    missing = np.array(wanted)
    sizes = np.bincount(labels, minlength=groups)
    part = np.empty(groups, dtype=np.int64)
    for position, group in enumerate(rng.permutation(groups)):
        empty = [i for i, size in enumerate(wanted) if missing[i] == size]
        must = groups - position <= len(empty)  # the last groups go to parts that would stay empty
        choices = empty if must and empty else range(len(wanted))
        part[group] = max(choices, key=lambda i: missing[i])
        missing[part[group]] -= sizes[group]
    return [np.flatnonzero(part[labels] == i) for i in range(len(wanted))]


def _three(parts: list[_Positions]) -> Parts:
    train, val, test = parts
    return train, val, test


def _labels(structures: StructureSet, group: Group) -> NDArray[np.int64]:
    """Return the number of each structure's group, int64 [n]."""
    numbers = np.split(structures.numbers, structures.ptr[1:-1])
    if group == "formula":
        keys = [reduced_formula(atoms.tolist()) for atoms in numbers]
    else:
        keys = [" ".join(map(str, np.unique(atoms))) for atoms in numbers]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _holds(structures: StructureSet, symbols: Iterable[str]) -> NDArray[np.bool_]:
    """Tell which structures hold one of the elements, bool [n]."""
    try:
        wanted = [atomic_number(symbol.strip()) for symbol in symbols]
    except StructureError as exc:
        raise InputError(f"Elements to hold out are given by their symbols: {exc}.") from exc
    counts = np.add.reduceat(np.isin(structures.numbers, wanted).astype(np.int64), structures.ptr[:-1])
    holds: NDArray[np.bool_] = counts > 0
    return holds
