"""Insights: the compositions of all tasks and splits with a whole hub, from whatever run has made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from moma_app.experiments.cells import Cell
from moma_app.experiments.compositions import finished_compositions
from moma_app.experiments.matrix import InsightMatrix, newest
from moma_app.experiments.plan import Plan, Row
from moma_app.experiments.results import CellResult
from moma_app.experiments.summary import Summary
from moma_app.hub.hub import Hub
from moma_app.jobs.blobs import Blob
from moma_app.tasks import get_task
from moma_app.work.composing import AMC
from moma_app.work.modules import named_modules

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs

SPLITS = (0, 1, 2, 3, 4)


class Insights(Plan):
    """The weights of a hub's modules for every task and split.

    A composition that another run has made (the page Compose, a fine-tuning, an ablation) counts, if
    it is of the same modules, rows, K and T: its cell needs no run of its own.
    """

    name: ClassVar[str] = "insights"

    splits: tuple[int, ...] = Field(default=SPLITS, description="Seeds of the splits; 0 to 4 are published.")
    learners: tuple[str, ...] = Field(default=("weights",), description="What composes.")

    def cells(self) -> list[Cell]:
        """Return a cell for each task and split."""
        return list(self.each(["amc"], self.composition()))

    def answered(self, cells: Sequence[Cell], jobs: Jobs) -> dict[str, str]:
        """Return the runs whose compositions stand for cells, by the cells' digests."""
        found = self._found(jobs, self.composition())
        return {
            cell.digest: found[cell.task, cell.split].run
            for cell in cells
            if (cell.task, cell.split) in found
        }

    def table(self, results: Sequence[CellResult]) -> list[Row]:
        """Return a line for each composition that a cell of this plan has made; :meth:`matrix` has all."""
        return [result.row() for result in results]

    def matrix(self, jobs: Jobs) -> InsightMatrix:
        """Return modules × tasks from the compositions that there are."""
        amc = self.composition()
        found = self._found(jobs, amc)
        modules = named_modules(Hub.open(amc.hub), amc.modules)
        trained_on = {
            name: name if module is None else module.card.target.task for name, module in modules.items()
        }
        return InsightMatrix(
            tasks=self.tasks,
            modules=tuple(modules),
            splits=self.splits,
            trained_on=trained_on,
            units={task: get_task(task).spec.unit for task in self.tasks},
            compositions=found,
        )

    def missing(self, jobs: Jobs) -> list[Cell]:
        """Return the cells whose composition no finished run has made; some may be on their way."""
        found = self._found(jobs, self.composition())
        return [cell for cell in self.cells() if (cell.task, cell.split) not in found]

    def _found(self, jobs: Jobs, amc: AMC) -> dict[tuple[str, int], Summary]:
        modules = named_modules(Hub.open(amc.hub), amc.modules)
        hashes = {name: None if module is None else module.card.sha256 for name, module in modules.items()}
        files = {
            task: {place: Blob.of(path).sha256 for place, path in get_task(task).files().items()}
            for task in self.tasks
        }
        return newest(
            [
                summary
                for summary in finished_compositions(jobs, set(self.tasks))
                if summary.split in self.splits
                and summary.files == files[summary.task]
                and _same_settings(summary, amc)
                and _same_modules(summary, hashes)
            ]
        )


def _same_settings(summary: Summary, amc: AMC) -> bool:
    return (summary.shots, summary.kind, summary.k, summary.temperature, summary.weighting) == (
        None,
        amc.kind,
        amc.k,
        amc.temperature,
        amc.weighting,
    )


def _same_modules(summary: Summary, hashes: dict[str, str | None]) -> bool:
    """Return whether a composition considered just these modules, as they are now."""
    took_part = {part.module: part.sha256 for part in summary.parts}
    return took_part.keys() | set(summary.skipped) == hashes.keys() and all(
        hashes[name] == digest for name, digest in took_part.items()
    )
