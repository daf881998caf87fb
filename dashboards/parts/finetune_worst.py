"""The test structures with the largest errors: a table, and the one that is clicked in 3D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import columns, muted
from dashboards.components.table import Table
from dashboards.services import task_data
from dashboards.session import Session
from moma_app.errors import DataNotFoundError
from moma_app.plots.crystals.payload import StructurePayload, payload_of
from moma_app.plots.crystals.view import StructureView
from moma_app.plots.text import number, with_unit

if TYPE_CHECKING:
    from moma_app.plots.analysis_values import WorstRow
    from moma_app.training.outcome import FitReport

TOP = 10
"""Structures in the table."""


class WorstPart(Viewer):
    """A table of the worst test structures; a click shows the structure."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._fit: FitReport | None = None
        self._worst: list[WorstRow] = []
        self._place = pn.Column(sizing_mode="stretch_width", min_height=320, margin=0)
        self._structure = StructureView(height=340, empty="Click a row to see its structure.")
        self._view = columns(self._place, self._structure, widths=[7, 5])

    def clear(self) -> None:
        """Show that there is nothing yet."""
        self._fit, self._worst = None, []
        self._place.objects = []
        self._structure.structures = []

    def show(self, fit: FitReport, worst: list[WorstRow]) -> None:
        """Show a fit's worst structures, and the first of them in 3D."""
        self._fit, self._worst = fit, worst[:TOP]
        true, predicted, error = (with_unit(name, fit.unit) for name in ("True", "Predicted", "Error"))
        table = Table(
            self._session,
            ["Structure", "Formula", "Atoms", true, predicted, error],
            digits={true: 4, predicted: 4, error: 3},
            on_click=self._open,
            page_size=TOP,
        )
        table.show(
            [
                {
                    "Structure": row.id,
                    "Formula": row.formula,
                    "Atoms": row.n_atoms,
                    true: row.true,
                    predicted: row.predicted,
                    error: row.error,
                }
                for row in self._worst
            ]
        )
        self._place.objects = [
            muted("Error: predicted minus true value. Click a row to see the structure."),
            table,
        ]
        if self._worst:
            self._open(0)

    def _open(self, place: int) -> None:
        fit, row = self._fit, self._worst[place]
        if fit is None:
            return

        def use(payload: StructurePayload) -> None:
            if self._fit is fit:
                self._structure.param.update(structures=[payload], active=0)

        self._session.background(lambda: structure_of(fit, row), use, failed=self._missing)

    def _missing(self, text: str) -> None:
        self._structure.param.update(structures=[], empty=text)

    def __panel__(self) -> Viewable:
        return self._view


def structure_of(fit: FitReport, row: WorstRow) -> StructurePayload:
    """Return a test structure of a fit.

    Raises:
        DataNotFoundError: the task's rows are no longer those of the fit, or not on this machine.
    """
    from moma_app.tasks import get_task

    data = task_data(fit.task)
    test = get_task(fit.task).split(fit.split).test
    position = int(test[row.position]) if row.position < len(test) else -1
    if not 0 <= position < len(data) or data.ids[position] != row.id:
        raise DataNotFoundError(
            f"The data of {fit.task} has changed since this run: {row.id} is no longer where it was."
        )
    unit = f" {fit.unit}" if fit.unit else ""
    note = f"true {number(row.true, 4)}{unit}, predicted {number(row.predicted, 4)}{unit}"
    return payload_of(data.structures[position], label=row.id, note=note)
