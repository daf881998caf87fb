"""Which rows of a task a fit uses, and their graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moma_app.backbones.base import Backbone
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.refused import cached_usable_graphs
from moma_app.errors import InputError
from moma_app.progress import Listener, Note, silent
from moma_app.training.recipe import Recipe

if TYPE_CHECKING:
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.splits import Split

_Positions = NDArray[np.int64]
BINS = 30
"""Bins of the inverse-frequency sampling (Chang et al. 2022)."""


@dataclass(frozen=True, eq=False)
class FitRows:
    """The rows of a fit.

    Attributes:
        graphs: of the n rows that the fit uses.
        used: their positions in the task's data, int64 [n].
        train, val, test: positions among the n rows.
        excluded: train and validation rows that were left out for the recipe's other tasks.
        refused: rows of all parts that were left out because the backbone cannot make graphs of them.
    """

    graphs: GraphSet
    used: _Positions
    train: _Positions
    val: _Positions
    test: _Positions
    excluded: int
    refused: int


def select_rows(
    data: TaskData,
    split: Split,
    recipe: Recipe,
    backbone: Backbone,
    *,
    graph_folder: Path | None = None,
    progress: Listener = silent,
) -> FitRows:
    """Select what a recipe trains, validates and tests on, and build the graphs.

    ``progress`` is told what is left out and why.

    Raises:
        InputError: no training, validation or test row is left.
        UnknownNameError: there is no task of which the recipe excludes structures.
        DataNotFoundError: its data is not on this machine.
    """
    split, excluded = _without_structures_of(data, split, recipe.exclude_structures_of, progress)
    parts = _small_cells(data, split, recipe.max_atoms, progress)
    used = np.unique(np.concatenate(parts))
    graphs, usable = cached_usable_graphs(backbone, data.structures.take(used), graph_folder, progress)
    refused = len(used) - len(usable)
    used = used[usable]
    train, val, test = (np.searchsorted(used, rows[np.isin(rows, used)]) for rows in parts)
    for what, rows in {"training": train, "validation": val, "test": test}.items():
        if not len(rows):
            raise InputError(
                f"Task {data.spec.name}: the backbone {backbone.info.name} can use no {what} structure."
            )
    return FitRows(graphs, used, train, val, test, excluded, refused)


def _without_structures_of(
    data: TaskData, split: Split, tasks: Sequence[str], progress: Listener
) -> tuple[Split, int]:
    """Return the split without train and validation rows whose structure occurs in other tasks, and their number."""
    if not tasks:
        return split, 0
    from moma_app.tasks import get_task
    from moma_app.tasks.exclusion import occurs_in

    others = [get_task(name).load(progress).structures for name in tasks]
    rows = np.concatenate([split.train, split.val])
    occurring = np.zeros(len(data), dtype=bool)
    occurring[rows] = occurs_in(data.structures.take(rows), others, progress)
    count = int(occurring.sum())
    progress(
        Note(message=f"{count} training and validation rows left out: their structures occur in other tasks.")
    )
    kept = {part: getattr(split, part)[~occurring[getattr(split, part)]] for part in ("train", "val")}
    return replace(split, **kept), count


def _small_cells(
    data: TaskData, split: Split, max_atoms: int | None, progress: Listener
) -> tuple[_Positions, _Positions, _Positions]:
    """Return train, validation and test rows; of the first two only those with cells small enough."""
    n_atoms = data.structures.n_atoms
    train, val = split.train, split.val
    if max_atoms is not None:
        train, val = (rows[n_atoms[rows] <= max_atoms] for rows in (train, val))
    for what, rows in {"training": train, "validation": val}.items():
        if not len(rows):
            raise InputError(
                f"Task {data.spec.name}: no {what} structure has {max_atoms} atoms or fewer."
                if max_atoms is not None
                else f"Task {data.spec.name}: split {split.seed} has no {what} rows."
            )
    left_out = len(split.train) + len(split.val) - len(train) - len(val)
    if left_out:
        progress(
            Note(message=f"{left_out} training and validation cells of more than {max_atoms} atoms left out.")
        )
    return train, val, split.test


def inverse_frequencies(targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sampling probabilities [m] inverse to how common a row's target is (30 bins)."""
    counts, edges = np.histogram(targets, bins=BINS)
    bins = np.clip(np.digitize(targets, edges[1:-1]), 0, BINS - 1)
    weights = 1.0 / np.maximum(counts[bins], 1)
    result: NDArray[np.float64] = weights / weights.sum()
    return result
