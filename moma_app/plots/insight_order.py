"""The order of a heat map's rows and columns, and which cell is where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moma_app.plots.insight_values import Insights, shown_values

Order = Literal["name", "cluster", "family"]


def arranged(insights: Insights, order: Order = "name") -> Insights:
    """Return the same matrix with rows and columns in another order.

    Args:
        insights: the matrix.
        order: ``name``: alphabetically; ``cluster``: neighbours are alike (:func:`cluster`);
            ``family``: by physical family, then by name.
    """
    by_name = _permuted(
        insights, _sorted(insights.tasks, str.casefold), _sorted(insights.modules, str.casefold)
    )
    if order == "name":
        return by_name
    if order == "family":
        return _permuted(
            by_name, _sorted(by_name.tasks, by_name.family), _sorted(by_name.modules, by_name.family)
        )
    profiles = _profiles(by_name)
    return _permuted(by_name, cluster(profiles), cluster(profiles.T))


def cluster(profiles: NDArray[np.float64]) -> list[int]:
    """Return an order of rows in which like ones are neighbours.

    Average linkage over the Euclidean distance of the rows scaled to length 1, d² = 2 - 2·cos, with the
    leaves ordered optimally (Bar-Joseph et al., Bioinformatics 17, S22 (2001)). Rows of zeros, which have no
    direction, stay at the origin: equally far from all others.

    Args:
        profiles: [n_rows, n_columns], finite.
    """
    if len(profiles) < 3:
        return list(range(len(profiles)))
    from scipy.cluster.hierarchy import leaves_list, linkage

    lengths = np.linalg.norm(profiles, axis=1, keepdims=True)
    unit = profiles / np.where(lengths > 0, lengths, 1.0)
    order: list[int] = leaves_list(linkage(unit, method="average", optimal_ordering=True)).tolist()
    return order


def cell_at(insights: Insights, x: float, y: float, *, order: Order = "name") -> tuple[str, str] | None:
    """Return (task, module) of the cell at a point of the heat map; ``None`` outside the cells.

    Args:
        insights, order: as given to :func:`moma_app.plots.heatmap.insight_heatmap`.
        x, y: coordinates of the point, as a tap gives them: cell (row i, column j) has its centre at (j, -i).
    """
    view = arranged(insights, order)
    column, row = int(np.floor(x + 0.5)), int(np.floor(-y + 0.5))
    if 0 <= row < len(view.tasks) and 0 <= column < len(view.modules):
        return view.tasks[row], view.modules[column]
    return None


def groups(names: Sequence[str], family: Callable[[str], str]) -> list[tuple[str, int, int]]:
    """Return (family, first, last) of each run of names of one family."""
    result = []
    start = 0
    for name, members in groupby(names, family):
        end = start + len(list(members))
        result.append((name, start, end - 1))
        start = end
    return result


def _profiles(insights: Insights) -> NDArray[np.float64]:
    """Return what rows and columns are compared by: weights, or log ratios of errors; none missing."""
    values = shown_values(insights)
    if insights.are_weights:
        return np.nan_to_num(values, nan=0.0)
    logs = np.log(values)
    known = np.isfinite(logs)
    mean = logs[known].mean() if known.any() else 0.0
    return np.where(known, logs, mean)


def _sorted(names: Sequence[str], key: Callable[[str], str]) -> list[int]:
    return sorted(range(len(names)), key=lambda i: key(names[i]))


def _permuted(insights: Insights, rows: Sequence[int], columns: Sequence[int]) -> Insights:
    return replace(
        insights,
        tasks=[insights.tasks[i] for i in rows],
        modules=[insights.modules[j] for j in columns],
        values=[[insights.values[i][j] for j in columns] for i in rows],
        stds=None if insights.stds is None else [[insights.stds[i][j] for j in columns] for i in rows],
        splits=None if insights.splits is None else [[insights.splits[i][j] for j in columns] for i in rows],
    )
