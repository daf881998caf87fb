"""What a module contributes: its weights in the compositions that runs have made."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.components.layout import empty, muted
from dashboards.components.table import Table
from dashboards.services import all_tasks, get_jobs
from dashboards.session import Session
from moma_app.jobs.states import SHORT
from moma_app.plots.text import with_unit_after

if TYPE_CHECKING:
    from moma_app.experiments.summary import Summary
    from moma_app.hub.card import Card

FRESH = 20.0
"""Seconds for which all sessions share one look into the store."""
COLUMNS = ("Task", "Weight", "Rank", "Proxy MAE", "Splits", "Run")


@dataclass(frozen=True)
class Use:
    """A module's part in the compositions for one task.

    Attributes:
        task: the task, with the number of training structures if not all were used.
        unit: of the task.
        weights: one for each split.
        ranks: its place by weight among the modules, from 1, for each split.
        modules: that took part in the newest composition.
        proxy_mae: mean over the splits, in the task's unit.
        run: the newest run.
    """

    task: str
    unit: str
    weights: tuple[float, ...]
    ranks: tuple[int, ...]
    modules: int
    proxy_mae: float
    run: str


def uses_of(card: Card, summaries: Iterable[Summary]) -> list[Use]:
    """Return what a module, as it is now, contributes to each task, most first.

    Of each split the newest composition by AMC counts, whatever its K and T.

    Args:
        card: of the module.
        summaries: of compositions, newest first.
    """
    taken: dict[tuple[str, int | None], dict[int, Summary]] = defaultdict(dict)
    for summary in summaries:
        if summary.weighting == "amc" and any(part.sha256 == card.sha256 for part in summary.parts):
            taken[summary.task, summary.shots].setdefault(summary.split, summary)
    uses = [_use(card, task, shots, list(splits.values())) for (task, shots), splits in taken.items()]
    return sorted(uses, key=lambda use: (-mean(use.weights), use.task))


def _use(card: Card, task: str, shots: int | None, summaries: Sequence[Summary]) -> Use:
    own = [next(part for part in summary.parts if part.sha256 == card.sha256) for summary in summaries]
    ranks = [
        1 + sum(other.weight > part.weight for other in summary.parts)
        for summary, part in zip(summaries, own, strict=True)
    ]
    return Use(
        task=task if shots is None else f"{task}, N = {shots:,}",
        unit=summaries[0].unit,
        weights=tuple(part.weight for part in own),
        ranks=tuple(ranks),
        modules=len(summaries[0].parts),
        proxy_mae=mean(part.proxy_mae for part in own),
        run=summaries[0].run,
    )


_LOCK = threading.Lock()
_LAST: tuple[float, list[Summary]] | None = None


def all_summaries() -> list[Summary]:
    """Return the finished compositions of all tasks, newest first; looked up once for all sessions."""
    from moma_app.experiments.compositions import finished_compositions

    global _LAST  # noqa: PLW0603 - one look for the whole server
    with _LOCK:
        if _LAST is None or time.monotonic() - _LAST[0] > FRESH:
            found = finished_compositions(get_jobs(), {task.name for task in all_tasks()})
            _LAST = (time.monotonic(), found)
        return _LAST[1]


class UsesPart(Viewer):
    """Bars and a table of a module's weights."""

    def __init__(self, session: Session, card: Card) -> None:
        super().__init__()
        self._session = session
        self._place = pn.Column(
            empty("Looking through the compositions …"), sizing_mode="stretch_width", min_height=160, margin=0
        )
        session.background(lambda: uses_of(card, all_summaries()), self._show)

    def _show(self, uses: list[Use]) -> None:
        if not uses:
            self._place.objects = [
                empty(
                    "No finished composition has weighed this module yet. The pages Compose and Insights make some."
                )
            ]
            return
        figure = Figure(self._session, height=120)
        figure.show(_drawing(uses))
        table = Table(
            self._session, COLUMNS, page_size=10, links={"Run": self._session.link("runs", "?run=")}
        )
        table.show([_row(use) for use in uses])
        note = muted(
            "Weights of AMC in finished compositions with this very module; the newest one of each split."
        )
        self._place.objects = [note, figure, table]

    def __panel__(self) -> Viewable:
        return self._place


def _drawing(uses: Sequence[Use]) -> Any:
    def draw(mode: Any) -> Any:
        from moma_app.plots.contributions import TaskWeight, contribution_bars

        weights = [
            TaskWeight(
                use.task,
                mean(use.weights),
                stdev(use.weights) if len(use.weights) > 1 else None,
                len(use.weights),
            )
            for use in uses
        ]
        return contribution_bars(weights, mode=mode)

    return draw


def _row(use: Use) -> dict[str, Any]:
    places = f"{min(use.ranks)}" if len(set(use.ranks)) == 1 else f"{min(use.ranks)} to {max(use.ranks)}"
    return {
        "Task": use.task,
        "Weight": round(mean(use.weights), 3),
        "Rank": f"{places} of {use.modules:,}",
        "Proxy MAE": with_unit_after(use.proxy_mae, use.unit),
        "Splits": len(use.weights),
        "Run": use.run[:SHORT],
    }
