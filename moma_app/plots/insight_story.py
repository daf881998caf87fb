"""The story of one cell of the map: what a module is to a task, split by split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moma_app.plots.text import count, number, weight_text, with_unit_after

if TYPE_CHECKING:
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights
    from moma_app.experiments.summary import Part, Summary


@dataclass(frozen=True)
class SplitLine:
    """A module in one composition.

    Attributes:
        split: seed of the split.
        weight: of the module.
        rank: its place by weight, 1 is the highest; equals share a place.
        proxy: its proxy error (MAE) in the task's unit.
        best: name of the module with the lowest proxy error.
        best_proxy: that error.
        run: id of the run.
    """

    split: int
    weight: float
    rank: int
    proxy: float
    best: str
    best_proxy: float
    run: str

    @property
    def ratio(self) -> float:
        """The proxy error divided by that of the best module: 1 is the best."""
        return self.proxy / self.best_proxy if self.best_proxy else 1.0


@dataclass(frozen=True)
class Story:
    """A module and a task.

    Attributes:
        task, module: which.
        unit: of the task.
        n_modules: that took part in the compositions, at most.
        lines: of the splits that have been composed, in order.
    """

    task: str
    module: str
    unit: str
    n_modules: int
    lines: tuple[SplitLine, ...]

    @property
    def weight(self) -> float:
        """Mean weight."""
        return float(np.mean([line.weight for line in self.lines]))

    @property
    def proxy(self) -> float:
        """Mean proxy error in the task's unit."""
        return float(np.mean([line.proxy for line in self.lines]))

    @property
    def ratio(self) -> float:
        """Mean over the splits of the ratio to the best module's proxy error."""
        return float(
            np.mean([line.proxy / line.best_proxy if line.best_proxy else 1.0 for line in self.lines])
        )

    def sentences(self) -> list[str]:
        """Tell the story in words."""
        if not self.lines:
            return [f"{self.module} has not been weighed for {self.task} yet."]
        lines, n = self.lines, len(self.lines)
        chosen = sum(line.weight > 0 for line in lines)
        weights = np.array([line.weight for line in lines])
        spread = f" ± {number(float(weights.std(ddof=1)), 2)}" if n > 1 else ""
        places = sorted({line.rank for line in lines})
        place = f"{places[0]}" if len(places) == 1 else f"{places[0]} to {places[-1]}"
        told = (
            f"Weight {weight_text(self.weight)}{spread}, mean over {count(n, 'split')}: place {place} of "
            f"{count(self.n_modules, 'module')}; it has weight in {chosen} of {n}."
        )
        best_in = sum(line.best == self.module for line in lines)
        error = f"Proxy error {with_unit_after(self.proxy, self.unit)}"
        if best_in == n:
            return [told, f"{error}: the lowest of all modules in every split."]
        others = ", ".join(dict.fromkeys(line.best for line in lines if line.best != self.module))
        return [told, f"{error}: {self.ratio:.2f} times that of the best module ({others})."]


def tell(matrix: InsightMatrix, task: str, module: str) -> Story:
    """Return the story of a cell; without lines if it has not been composed."""
    compositions: Mapping[tuple[str, int], Summary] = matrix.compositions
    lines: list[SplitLine] = []
    most = 0
    for split, part in matrix.part(task, module).items():
        summary = compositions[task, split]
        lines.append(_line(part, summary))
        most = max(most, len(summary.parts))
    return Story(task, module, matrix.units.get(task, ""), most, tuple(lines))


def tell_published(published: PublishedWeights, task: str, module: str) -> tuple[str, dict[int, float]]:
    """Return what the paper's authors found for a cell: in words, and their weight for each split.

    Both are empty if they published nothing for it.
    """
    splits, known = published.splits, published.modules
    by_split = {split: weight for split in splits for weight in published.of(task, module, [split])}
    if module not in known or not by_split:
        return "", {}
    ((mean, *others),) = published.means([task], [module, *known], splits)
    ((std, *_),) = published.stds([task], [module], splits)
    own = mean or 0.0
    place = 1 + sum(other > own for other in others if other is not None)
    spread = "" if std is None else f" ± {number(std, 2)}"
    told = (
        f"Published weight {weight_text(own)}{spread}, mean over {count(len(by_split), 'split')}: place {place} "
        f"of {count(len(known), 'module')}, all trained from the backbone JMP."
    )
    return told, by_split


def _line(part: Part, summary: Summary) -> SplitLine:
    best = min(summary.parts, key=lambda other: other.proxy_mae)
    return SplitLine(
        split=summary.split,
        weight=part.weight,
        rank=1 + sum(other.weight > part.weight for other in summary.parts),
        proxy=part.proxy_mae,
        best=best.module,
        best_proxy=best.proxy_mae,
        run=summary.run,
    )
