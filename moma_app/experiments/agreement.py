"""Do our weights order the modules as the published ones do? Rank correlation over what both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from moma_app.experiments.matrix import InsightMatrix
from moma_app.experiments.published import MODULES, PublishedWeights
from moma_app.experiments.statistics import RankCorrelation, Spread, rank_correlation, spread


@dataclass(frozen=True)
class TaskAgreement:
    """One task.

    Attributes:
        task: its name.
        ours, published: mean weight over the splits by module, in shares of all shared modules.
        ranks: correlation of their order; ``None`` where one side gives all modules the same.
    """

    task: str
    ours: Mapping[str, float]
    published: Mapping[str, float]
    ranks: RankCorrelation | None

    @property
    def best_of_ours(self) -> str:
        """The shared module with our highest weight."""
        return max(self.ours, key=self.ours.__getitem__)

    @property
    def best_of_published(self) -> str:
        """The shared module with the highest published weight."""
        return max(self.published, key=self.published.__getitem__)


@dataclass(frozen=True)
class Agreement:
    """All tasks.

    Attributes:
        tasks: those that both have weights for, with a shared module of some weight.
        modules: tasks that modules of both sides were trained on.
        overall: correlation over all pairs of task and module.
        within: mean of the tasks' own values of Spearman's rho; ``None`` if no task has one.
    """

    tasks: tuple[TaskAgreement, ...]
    modules: tuple[str, ...]
    overall: RankCorrelation | None
    within: Spread | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return asdict(self)


def agreement(matrix: InsightMatrix, published: PublishedWeights) -> Agreement:
    """Compare our weights with the published ones, over tasks, modules and splits that both have.

    Modules are the same if they were trained on the same task; several of ours on one task count
    together. Each side's weights are taken as shares of the shared modules, because the published
    hub has modules that ours lacks.
    """
    means = matrix.means()
    trained = [matrix.trained_on[module] for module in matrix.modules]
    shared = tuple(name for name in MODULES if name in trained)
    compared: list[TaskAgreement] = []
    for task, row in zip(matrix.tasks, means, strict=True):
        splits = [split for split in matrix.splits if (task, split) in matrix.compositions]
        theirs = {name: sum(published.of(task, name, splits)) for name in shared}
        ours = dict.fromkeys(shared, 0.0)
        for name, weight in zip(trained, row, strict=True):
            if name in ours:
                ours[name] += weight or 0.0
        own, other = _shares(ours), _shares(theirs)
        if own is not None and other is not None:
            order = rank_correlation([own[name] for name in shared], [other[name] for name in shared])
            compared.append(TaskAgreement(task, own, other, order))
    pairs = [(each.ours[name], each.published[name]) for each in compared for name in shared]
    return Agreement(
        tasks=tuple(compared),
        modules=shared,
        overall=rank_correlation([pair[0] for pair in pairs], [pair[1] for pair in pairs]),
        within=spread([each.ranks.spearman for each in compared if each.ranks is not None]),
    )


def _shares(weights: Mapping[str, float]) -> dict[str, float] | None:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()} if total > 0 else None
