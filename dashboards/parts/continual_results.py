"""What new modules changed: decrease in test error against decrease in proxy error, a point for each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboards.parts.experiment_results import ResultsPart
from dashboards.parts.experiment_words import percent_text
from dashboards.session import Session
from moma_app.plots.continual import HubChange
from moma_app.plots.text import number, with_unit

if TYPE_CHECKING:
    from moma_app.experiments.continual import Continual
    from moma_app.experiments.plan import Row
    from moma_app.experiments.results import CellResult
    from moma_app.experiments.statistics import Line

HEIGHT = 440
COLUMNS = (
    "Dataset",
    "Split, seed",
    "Proxy error before",
    "Proxy error after",
    "Decrease in proxy error",
    "Test MAE before",
    "Test MAE after",
    "Decrease in test MAE",
)


@dataclass(frozen=True)
class ContinualView:
    """What is shown.

    Attributes:
        changes: the points.
        line: through them, if there are enough.
        lines: of the table.
    """

    changes: list[HubChange]
    line: Line | None
    lines: list[dict[str, str]]


class ContinualResults(ResultsPart[ContinualView]):
    """The results of an experiment with a growing hub."""

    name = "continual"

    def __init__(self, session: Session) -> None:
        super().__init__(session, height=HEIGHT)

    def prepare(self, plan: Continual, rows: Sequence[Row], results: Sequence[CellResult]) -> ContinualView:
        """Return what is to be shown."""
        from moma_app.experiments.continual import task_means, trend

        means = task_means(rows)
        return ContinualView([change_of(mean) for mean in means], trend(means), lines_of(rows, means))

    def present(self, view: ContinualView) -> None:
        """Show it in the page."""
        from moma_app.plots import continual_scatter

        waiting = "A point appears when a dataset has been done with both hubs, on the same split."
        if view.changes:
            self._figure.show(lambda mode: continual_scatter(view.changes, view.line, mode=mode))
        else:
            self._figure.clear(waiting)
        self.fill(COLUMNS, view.lines, waiting)


def change_of(mean: Row) -> HubChange:
    """Return a point of the figure from the means of a task."""
    return HubChange(
        task=mean["task"],
        proxy_decrease=mean["proxy_decrease"],
        mae_decrease=mean["mae_decrease"],
        proxy_std=mean["proxy_decrease_std"],
        mae_std=mean["mae_decrease_std"],
        n=mean["n"],
    )


def lines_of(rows: Sequence[Row], means: Sequence[Row]) -> list[dict[str, str]]:
    """Return the table's lines: each pair of cells, and the mean of each task with several of them."""
    lines: list[dict[str, str]] = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        name = with_unit(task, own[0]["unit"])
        lines += [_line(name, row) for row in own]
        lines += [
            {
                "Dataset": name,
                "Split, seed": f"mean of {mean['n']}",
                COLUMNS[4]: percent_text(mean["proxy_decrease"], mean["proxy_decrease_std"]),
                COLUMNS[7]: percent_text(mean["mae_decrease"], mean["mae_decrease_std"]),
            }
            for mean in means
            if mean["task"] == task and len(own) > 1
        ]
    return lines


def _line(name: str, row: Row) -> dict[str, str]:
    values = (
        name,
        f"{row['split']}, {row['seed']}",
        number(row["proxy_before"]),
        number(row["proxy_after"]),
        percent_text(row["proxy_decrease"]),
        number(row["mae_before"]),
        number(row["mae_after"]),
        percent_text(row["mae_decrease"]),
    )
    return dict(zip(COLUMNS, values, strict=True))
