"""Do our weights order the modules as those published with the paper do? And where these come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.facts import Facts
from dashboards.components.layout import empty, muted
from dashboards.components.line import Line
from dashboards.components.table import Table
from dashboards.session import Session
from moma_app.experiments.statistics import FEWEST
from moma_app.plots.text import number
from moma_app.progress import Event

if TYPE_CHECKING:
    from moma_app.experiments.agreement import Agreement
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights

ABSENT = (
    "The weights published with the paper are not on this machine. They are under CC BY-NC 4.0 and so do not come "
    "with MoMa: fetch them from the authors' repository, here or with the command moma insights fetch-published."
)
COLUMNS = ("Task", "Modules n", "Spearman ρ", "p of ρ", "Kendall τ", "p of τ")
NAMES = (
    "Spearman ρ, all pairs",
    "Kendall τ, all pairs",
    "Pairs n",
    "Mean ρ within a task",
    "Modules compared",
)
NOTHING = "There is nothing of ours to compare yet: start the compositions above."
TOO_FEW = "An order needs at least three modules that were trained on the paper's upstream tasks."


class FetchPublished(Viewer):
    """Says that the published weights are not here, with a button that fetches them.

    Args:
        session: of the page.
        on_done: is called in the page when they are here.
    """

    def __init__(self, session: Session, on_done: Callable[[], None]) -> None:
        super().__init__()
        self._session, self._on_done = session, on_done
        self._button = pmui.Button(
            label="Fetch the published weights",
            icon="download",
            variant="contained",
            size="small",
            align="center",
        )
        self._text = Line(quiet=True, min_height=20, styles={"text-align": "center"})
        self._button.on_click(session.guard(lambda _: self._fetch()))
        self._view = empty(ABSENT, self._button, self._text)

    def _fetch(self) -> None:
        self._button.disabled = True
        self._text.say("Asking the authors' repository")

        def fetch() -> None:
            from moma_app.experiments.fetch_published import fetch_published

            fetch_published(progress=self._step)

        self._session.background(fetch, lambda _: self._over(), failed=self._failed)

    def _step(self, event: Event) -> None:
        text = event.describe()
        self._session.later(lambda: self._text.say(text))

    def _over(self) -> None:
        self._failed("")
        self._on_done()

    def _failed(self, text: str) -> None:
        self._button.disabled = False
        self._text.say(text)

    def __panel__(self) -> Viewable:
        return self._view


class AgreementPart(Viewer):
    """Rank correlation of our weights and the published ones, over all and task by task.

    Args:
        session: of the page.
        on_fetched: is called in the page when the published weights have been fetched.
    """

    def __init__(self, session: Session, on_fetched: Callable[[], None]) -> None:
        super().__init__()
        self._session = session
        self._compared: InsightMatrix | None = None
        self._facts = Facts(NAMES)
        self._table = Table(session, COLUMNS, digits=dict.fromkeys(COLUMNS[2:], 3), page_size=20)
        self._note = Line(quiet=True)
        self._absent = FetchPublished(session, on_fetched)
        self._place = pn.Column(sizing_mode="stretch_width", min_height=120, margin=0)

    def show(self, matrix: InsightMatrix | None, published: PublishedWeights | None) -> None:
        """Compare, as far as both are there; beside the page."""
        self._compared = matrix
        if published is None:
            self._place.objects = [self._absent]
            return
        if matrix is None or not matrix.present:
            self._place.objects = [empty(NOTHING)]
            return

        def compare() -> Agreement:
            from moma_app.experiments.agreement import agreement

            return agreement(matrix, published)

        def use(found: Agreement) -> None:
            if matrix is self._compared:
                self._present(matrix, found)

        self._session.background(compare, use)

    def _present(self, matrix: InsightMatrix, found: Agreement) -> None:
        if not found.tasks:
            self._place.objects = [empty(nothing_shared(matrix, found))]
            return
        self._facts.show(overall(found))
        self._table.show([_line(each.task, each.ranks, len(found.modules)) for each in found.tasks])
        self._note.say(
            "Each side's mean weights over the splits that both have, as shares of the modules that both have: "
            f"{', '.join(found.modules)}."
        )
        few = [muted(TOO_FEW)] if len(found.modules) < FEWEST else []
        self._place.objects = [self._facts, *few, self._note, self._table]

    def __panel__(self) -> Viewable:
        return self._place


def nothing_shared(matrix: InsightMatrix, found: Agreement) -> str:
    """Say why there is nothing to compare."""
    if not found.modules:
        return "No module of this hub was trained on one of the paper's upstream tasks, so there is nothing to compare."
    tasks = ", ".join(matrix.tasks[:3]) + (", …" if len(matrix.tasks) > 3 else "")
    return f"The paper has no weights for what is composed here ({tasks}): choose tasks of the paper."


def overall(found: Agreement) -> dict[str, str]:
    """Return the correlation over all tasks in words, by name."""
    ranks = found.overall
    within = found.within
    spread = "" if within is None or within.std is None else f" ± {number(within.std, 2)} ({within.n} tasks)"
    values = [
        "–" if ranks is None else f"{ranks.spearman:.2f} (p = {number(ranks.spearman_p, 2)})",
        "–" if ranks is None else f"{ranks.kendall:.2f} (p = {number(ranks.kendall_p, 2)})",
        f"{len(found.tasks) * len(found.modules):,}",
        "–" if within is None else f"{within.mean:.2f}{spread}",
        f"{len(found.modules)}",
    ]
    return dict(zip(NAMES, values, strict=True))


def _line(task: str, ranks: Any, n: int) -> Mapping[str, Any]:
    values = (
        (None,) * 4 if ranks is None else (ranks.spearman, ranks.spearman_p, ranks.kendall, ranks.kendall_p)
    )
    return dict(zip(COLUMNS, (task, n, *values), strict=True))
