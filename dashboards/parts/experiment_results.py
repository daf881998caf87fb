"""What the results of all experiments have in common: they grow cell by cell, as a figure, a table and files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import panel as pn
from panel.viewable import Viewable

from dashboards.components.download import download
from dashboards.components.figure import Figure
from dashboards.components.layout import empty, row
from dashboards.components.table import Table
from dashboards.session import Session
from moma_app.errors import InputError

if TYPE_CHECKING:
    from moma_app.experiments.plan import Plan, Row
    from moma_app.experiments.results import CellResult

V = TypeVar("V")
NOTHING = "Finished cells appear here one by one."


class ResultsPart(ABC, Generic[V]):
    """The results of an experiment on a page.

    Args:
        session: of the page.
        height: pixels that are kept free for the figure.
    """

    name = "experiment"
    """In the names of files."""

    def __init__(self, session: Session, *, height: int) -> None:
        self._session = session
        self._rows: Sequence[Row] = ()
        self._single: Sequence[Row] = ()
        self._figure = Figure(session, height=height, waiting=NOTHING)
        self._table: Table | None = None
        self._columns: list[str] = []
        self._place = pn.Column(empty(NOTHING), sizing_mode="stretch_width", min_height=120, margin=0)
        self._downloads = row(
            self._download("Table (CSV)", "table", lambda: self._rows),
            self._download("Single cells (CSV)", "cells", lambda: self._single),
        )
        self._downloads.visible = False

    @property
    def figure(self) -> Sequence[Viewable | Figure]:
        """What stands beside the form."""
        return [self._figure]

    @property
    def table(self) -> Sequence[Viewable]:
        """What stands below."""
        return [self._place, self._downloads]

    def clear(self) -> None:
        """Show that nothing has finished."""
        self._rows, self._single = (), ()
        self._figure.clear()
        self._place.objects = [empty(NOTHING)]
        self._table, self._columns = None, []
        self._downloads.visible = False

    def read(self, plan: Plan, results: Sequence[CellResult]) -> Callable[[], None]:
        """Prepare what finished cells gave, beside the page; returns what shows it in the page."""
        rows = plan.table(results)
        single = [result.row() for result in results]
        view = self.prepare(plan, rows, results)

        def show() -> None:
            self._rows, self._single = rows, single
            self._downloads.visible = bool(single)
            self.present(view)

        return show

    @abstractmethod
    def prepare(self, plan: Any, rows: Sequence[Row], results: Sequence[CellResult]) -> V:
        """Return what is to be shown; is called beside the page.

        Args:
            plan: of the experiment.
            rows: its table so far.
            results: its finished cells.
        """

    @abstractmethod
    def present(self, view: V) -> None:
        """Show it in the page."""

    def fill(self, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], nothing: str = NOTHING) -> None:
        """Show a table of texts; it is made anew only when its columns change."""
        if not rows:
            self._table, self._columns = None, []
            self._place.objects = [empty(nothing)]
            return
        if self._table is None or list(columns) != self._columns:
            self._table, self._columns = Table(self._session, columns, sortable=False), list(columns)
            self._table.show(rows)  # before the browser draws it: an empty table would flash
            self._place.objects = [self._table]
        else:
            self._table.show(rows)

    def _download(self, label: str, what: str, rows: Callable[[], Sequence[Row]]) -> Viewable:
        button: Viewable = download(
            self._session, label, f"moma-{self.name}-{what}.csv", lambda: csv_of(rows())
        )
        return button


def csv_of(rows: Sequence[Row]) -> bytes:
    """Return rows as a CSV file with all digits.

    Raises:
        InputError: there are none.
    """
    from moma_app.experiments.results import to_dataframe

    if not rows:
        raise InputError("Nothing has finished yet, so there is nothing to download.")
    return to_dataframe(rows).to_csv(index=False).encode()
