"""The cells of a plan one by one: how each stands, why it failed, and its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import fold, fold_title
from dashboards.components.table import Table
from dashboards.session import Session
from moma_app.jobs.states import SHORT

if TYPE_CHECKING:
    from moma_app.experiments.standing import CellRun

COLUMNS = ("Cell", "State", "Message", "Run")
ORDER = ("failed", "running", "queued", "missing", "done")
"""Of the table: what asks for attention first."""


class PlanCells(Viewer):
    """All cells with their runs, behind a fold that is filled when it is opened.

    Args:
        session: of the page.
        noun: what a cell is to the reader.
    """

    def __init__(self, session: Session, noun: str) -> None:
        super().__init__()
        self._session, self._noun = session, noun
        self._rows: list[dict[str, str]] = []
        self._table: Table | None = None
        self._place = pn.Column(sizing_mode="stretch_width", margin=0)
        self._fold = fold(f"All {noun}s", self._place)
        self._fold.visible = False
        self._fold.param.watch(session.guard(lambda _: self._fill()), "collapsed")

    def show(self, cells: tuple[CellRun, ...]) -> None:
        """Show cells, those that failed first."""
        rows = [
            {
                "Cell": each.cell.label,
                "State": each.standing if each.fraction is None else f"{each.standing}, {each.fraction:.0%}",
                "Message": "" if each.standing == "done" else each.message,
                "Run": each.run[:SHORT],
            }
            for each in sorted(cells, key=lambda each: ORDER.index(each.standing))
        ]
        failed = sum(each.standing == "failed" for each in cells)
        self._fold.visible = bool(rows)
        self._fold.title = fold_title(f"All {self._noun}s" + (f" ({failed} failed)" if failed else ""))
        if rows != self._rows:
            self._rows = rows
            self._fill()

    def _fill(self) -> None:
        if self._fold.collapsed:
            return
        if self._table is None:
            self._table = Table(
                self._session, COLUMNS, page_size=10, links={"Run": self._session.link("runs", "?run=")}
            )
            self._place.objects = [self._table]
        self._table.show(self._rows)

    def __panel__(self) -> Viewable:
        return self._fold
