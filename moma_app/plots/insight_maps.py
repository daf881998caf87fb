"""From compositions and published weights to what the heat map draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moma_app.errors import InputError
from moma_app.plots.insight_values import Insights

if TYPE_CHECKING:
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights
    from moma_app.experiments.words import Words


def maps_of(matrix: InsightMatrix, words: Words) -> dict[str, Insights]:
    """Return a matrix as the heat map takes it, by the views ``weights`` and ``proxy``.

    Values are means over the splits, proxy errors in each task's unit.

    Args:
        matrix: modules × tasks.
        words: what is said of them.
    """
    same: dict[str, Any] = {
        "modules": list(matrix.modules),
        "tasks": list(matrix.tasks),
        "splits": matrix.counts(),
        **vars(words),
    }
    return {
        "weights": Insights(values=matrix.means(), stds=matrix.stds(), **same),
        "proxy": Insights(
            values=matrix.means("proxy_mae"), stds=matrix.stds("proxy_mae"), kind="proxy error", **same
        ),
    }


def published_map(
    published: PublishedWeights, tasks: Sequence[str], splits: Sequence[int], words: Words
) -> Insights:
    """Return the published weights of some tasks, all by default, as the heat map takes them.

    Args:
        published: the weights.
        tasks: names; empty for all.
        splits: over which the means are taken.
        words: what is said of tasks and modules.

    Raises:
        InputError: none of these tasks was published.
    """
    modules = published.modules
    rows = [task for task in published.tasks if not tasks or task in tasks]
    if not rows:
        raise InputError("No weights were published for these tasks: choose others, or none for all.")
    over = [[len(published.of(task, module, splits)) for module in modules] for task in rows]
    return Insights(
        modules=list(modules),
        tasks=rows,
        values=published.means(rows, modules, splits),
        kind="published weight",
        stds=published.stds(rows, modules, splits),
        splits=over,
        **vars(words),
    )
