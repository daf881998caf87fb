"""Hub modules × downstream tasks (Figure 7 of the MoMa paper): weights, ranks, stability, proxy errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from moma_app.amc.result import AMCResult
from moma_app.experiments.plan import Row
from moma_app.experiments.summary import Part, Summary
from moma_app.tasks.families import family_of
from moma_app.text import brief, count

if TYPE_CHECKING:
    import pandas as pd

Quantity = Literal["weight", "proxy_mae", "proxy_mae_standardised"]
Values = list[list[float | None]]
"""[n_tasks][n_modules]; ``None`` where nothing has been computed."""


@dataclass(frozen=True)
class InsightMatrix:
    """What each module of a hub is worth to each task, over some splits.

    Attributes:
        tasks: rows.
        modules: columns.
        splits: seeds of the splits.
        trained_on: task that each module was trained on.
        units: of the tasks.
        compositions: by task and split, those that there are.
    """

    tasks: tuple[str, ...]
    modules: tuple[str, ...]
    splits: tuple[int, ...]
    trained_on: Mapping[str, str]
    units: Mapping[str, str]
    compositions: Mapping[tuple[str, int], Summary]

    @classmethod
    def of(cls, results: Iterable[AMCResult]) -> InsightMatrix:
        """Return the matrix of compositions that were made here; of equal task and split the last one counts."""
        found = {(each.task, each.split): Summary.of("", each) for each in results}
        summaries = list(found.values())
        trained_on = {part.module: part.trained_on for each in summaries for part in each.parts}
        return cls(
            tasks=tuple(dict.fromkeys(each.task for each in summaries)),
            modules=tuple(trained_on),
            splits=tuple(sorted({each.split for each in summaries})),
            trained_on=trained_on,
            units={each.task: each.unit for each in summaries},
            compositions=found,
        )

    def __repr__(self) -> str:
        sizes = f"{count(len(self.tasks), 'task')} × {count(len(self.modules), 'module')}"
        return brief(self, f"of {sizes}, {count(self.present, 'composition')}")

    def to_dataframe(self) -> pd.DataFrame:
        """Return :meth:`rows`: a line for each task and module; ``unit`` is that of the task's proxy errors."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    @property
    def present(self) -> int:
        """Compositions that there are, of ``len(tasks) * len(splits)``."""
        return len(self.compositions)

    def array(self, quantity: Quantity = "weight") -> NDArray[np.float64]:
        """Return a quantity, float64 [n_tasks, n_modules, n_splits]; NaN where it is not known."""
        column = {name: number for number, name in enumerate(self.modules)}
        found = np.full((len(self.tasks), len(self.modules), len(self.splits)), np.nan)
        for i, task in enumerate(self.tasks):
            for j, split in enumerate(self.splits):
                summary = self.compositions.get((task, split))
                for part in () if summary is None else summary.parts:
                    found[i, column[part.module], j] = getattr(part, quantity)
        return found

    def means(self, quantity: Quantity = "weight") -> Values:
        """Return means over the splits."""
        return _listed(_mean(self.array(quantity)))

    def stds(self, quantity: Quantity = "weight") -> Values:
        """Return sample standard deviations over the splits; ``None`` of fewer than two."""
        values = self.array(quantity)
        known = np.isfinite(values).sum(axis=2)
        squares = np.nansum((values - _mean(values)[:, :, None]) ** 2, axis=2)
        return _listed(np.sqrt(squares / np.where(known > 1, known - 1, np.nan)))

    def counts(self) -> list[list[int]]:
        """Return over how many splits each mean is."""
        counted: list[list[int]] = np.isfinite(self.array()).sum(axis=2).tolist()
        return counted

    def selected(self) -> Values:
        """Return in which share of the splits a module has weight."""
        values = self.array()
        return _listed(_mean(np.where(np.isfinite(values), values > 0, np.nan)))

    def ranks(self) -> list[list[int | None]]:
        """Return each module's place for each task by its mean weight: 1 is the highest; equals share a place."""
        means = _mean(self.array())
        return [[None if np.isnan(value) else 1 + int(np.sum(row > value)) for value in row] for row in means]

    def rows(self) -> list[Row]:
        """Return a line for each task and module that has a value, as a table for people and CSV."""
        columns: dict[str, Sequence[Sequence[Any]]] = {
            "weight": self.means(),
            "weight_std": self.stds(),
            "rank": self.ranks(),
            "selected": self.selected(),
            "proxy_mae": self.means("proxy_mae"),
            "proxy_mae_std": self.stds("proxy_mae"),
            "proxy_mae_standardised": self.means("proxy_mae_standardised"),
            "splits": self.counts(),
        }
        families = {name: family_of(name) for name in {*self.tasks, *self.trained_on.values()}}
        return [
            {
                "task": task,
                "family": families[task],
                "unit": self.units.get(task, ""),
                "module": module,
                "trained_on": self.trained_on[module],
                "module_family": families[self.trained_on[module]],
                **{name: values[i][j] for name, values in columns.items()},
            }
            for i, task in enumerate(self.tasks)
            for j, module in enumerate(self.modules)
            if columns["splits"][i][j]
        ]

    def part(self, task: str, module: str) -> dict[int, Part]:
        """Return a module's part in a task's compositions, by split: the story of one cell of the map."""
        return {
            split: part
            for split in self.splits
            if (summary := self.compositions.get((task, split))) is not None
            for part in summary.parts
            if part.module == module
        }


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis of what is finite; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    result: NDArray[np.float64] = np.where(known, values, 0.0).sum(axis=-1) / np.where(count, count, np.nan)
    return result


def _listed(values: NDArray[np.float64]) -> Values:
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]


def newest(summaries: Sequence[Summary]) -> dict[tuple[str, int], Summary]:
    """Return one composition for each task and split, the first that is given."""
    found: dict[tuple[str, int], Summary] = {}
    for summary in summaries:
        found.setdefault((summary.task, summary.split), summary)
    return found
