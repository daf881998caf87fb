"""Train, validation and test rows: published where they exist, random otherwise; few-shot sampling."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import DamagedFileError, InputError
from moma_app.text import brief

_Indices = NDArray[np.int64]
PARTS = ("train", "val", "test")
FRACTIONS = (0.70, 0.15, 0.15)
SMALLEST = 3
"""Fewest rows that can be split: one for each part."""


@dataclass(frozen=True, eq=False)
class Split:
    """Positions into the rows of a task's data.

    Attributes:
        train, val, test: int64 arrays without a common position.
        seed: seed of the split; 0 to 4 where it is a published one.
        origin: ``published`` (Chang et al. 2022), ``random`` (ours), or ``own`` (the user's).
    """

    train: _Indices
    val: _Indices
    test: _Indices
    seed: int
    origin: Literal["published", "random", "own"]

    def __repr__(self) -> str:
        sizes = f"{len(self.train):,} train, {len(self.val):,} validation, {len(self.test):,} test rows"
        return brief(self, f"{self.seed} ({self.origin}): {sizes}")


def random_split(n: int, seed: int) -> Split:
    """Split n rows 70:15:15 at random.

    Positions are permuted by ``numpy.random.default_rng(seed)``; the first are train, then
    validation, then test. Validation and test get 15% rounded to the nearest row, at least
    one; train gets the rest. The same seed and n give the same split everywhere.

    Raises:
        InputError: fewer than three rows, or a negative seed.
    """
    _check_seed(seed)
    if n < SMALLEST:
        raise InputError(
            f"{n} rows cannot be split into train, validation and test: at least {SMALLEST} are needed."
        )
    part = max(1, round(FRACTIONS[1] * n))
    train = n - 2 * part
    order = np.random.default_rng(seed).permutation(n).astype(np.int64)
    return Split(order[:train], order[train : train + part], order[train + part :], seed, "random")


def few_shot(split: Split, n: int, seed: int = 0) -> Split:
    """Return the split with n rows drawn from train; validation and test stay whole.

    Rows are the first n of a permutation by ``default_rng(seed)``, so that the ten rows of a
    seed are among its hundred.

    Raises:
        InputError: n is not between 1 and the number of train rows, or the seed is negative.
    """
    _check_seed(seed)
    if not 1 <= n <= len(split.train):
        raise InputError(
            f"{n} shots cannot be drawn: the train part of split {split.seed} has {len(split.train)} rows."
        )
    return replace(split, train=np.random.default_rng(seed).permutation(split.train)[:n])


def read_published(path: Path) -> list[dict[str, list[int]]]:
    """Read a split file: for each seed a mapping of ``train``, ``val``, ``test`` to row lists.

    Raises:
        DamagedFileError: the file is no such list, or a row stands in two parts.
    """
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise DamagedFileError(f"The split file {path} cannot be read: fetch or copy it again.") from exc
    check_published(splits, str(path))
    found: list[dict[str, list[int]]] = splits
    return found


def check_published(splits: Any, where: str) -> None:
    """Raise ``DamagedFileError`` unless ``splits`` is a list of proper splits."""
    if not isinstance(splits, list) or not splits:
        raise DamagedFileError(f"{where} is no list of splits with the parts train, val and test.")
    for seed, split in enumerate(splits):
        seen: set[int] = set()
        for part in PARTS:
            rows = split.get(part) if isinstance(split, dict) else None
            if not isinstance(rows, list) or not rows or not all(type(r) is int and r >= 0 for r in rows):
                raise DamagedFileError(f"{where}: part {part} of split {seed} is no list of row indices.")
            if len(set(rows)) != len(rows) or not seen.isdisjoint(rows):
                raise DamagedFileError(f"{where}: a row stands twice in split {seed}.")
            seen.update(rows)


def published_split(
    published: list[dict[str, list[int]]],
    rows: NDArray[np.int32],
    seed: int,
    where: str,
    *,
    origin: Literal["published", "own"] = "published",
) -> Split:
    """Map the published rows of ``seed`` to positions in ``rows`` [n].

    Rows of the data that the published split leaves out are in no part.

    Raises:
        InputError: the data lacks rows that the split names.
    """
    position = {int(row): i for i, row in enumerate(rows)}
    parts: list[_Indices] = []
    missing: list[int] = []
    for part in PARTS:
        wanted = published[seed][part]
        missing += [row for row in wanted if row not in position]
        parts.append(np.array([position.get(row, -1) for row in wanted], dtype=np.int64))
    if missing:
        shown = ", ".join(map(str, sorted(missing)[:5])) + (", …" if len(missing) > 5 else "")
        raise InputError(
            f"The {origin} split {seed} needs {len(missing)} rows that {where} does not hold ({shown}): "
            "get the whole dataset, or remove the split file to split at random."
        )
    return Split(parts[0], parts[1], parts[2], seed, origin)


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise InputError(f"A seed must be 0 or more, not {seed}.")
