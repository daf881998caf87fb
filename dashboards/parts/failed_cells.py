"""Why cells of an experiment failed: a sentence for each reason, with links to the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import alert, literal
from dashboards.session import Session
from moma_app.jobs.states import SHORT
from moma_app.plots.text import count

if TYPE_CHECKING:
    from moma_app.experiments.standing import CellRun

REASONS = 3
"""Reasons that are told; all of them stand in the list of cells."""
LINKED = 4
"""Runs of one reason that are linked."""
_MARGIN = (4, 10)


class FailedCells(Viewer):
    """Nothing while no cell has failed.

    Args:
        session: of the page.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._view = pn.Column(sizing_mode="stretch_width", margin=0)

    def show(self, failed: Sequence[CellRun]) -> None:
        """Tell why cells failed; equal reasons once."""
        reasons: dict[str, list[CellRun]] = {}
        for each in failed:
            reasons.setdefault(each.message or "The run says no reason.", []).append(each)
        told = [self._reason(reason, cells) for reason, cells in list(reasons.items())[:REASONS]]
        if len(reasons) > REASONS:
            rest = f"{count(len(reasons) - REASONS, 'other reason')}: see the list of all cells."
            told.append(alert("error", rest, margin=_MARGIN))
        self._view.objects = told

    def _reason(self, reason: str, cells: Sequence[CellRun]) -> Viewable:
        first = cells[0].cell.label + (f" and {len(cells) - 1} more" if len(cells) > 1 else "")
        links = ", ".join(
            f'<a style="color: inherit" href="{self._session.link("runs", f"?run={each.run}")}">run {literal(each.run[:SHORT])}</a>'
            for each in cells[:LINKED]
        )
        return alert("error", f"{first}: {reason}", links=f" ({links})", margin=_MARGIN)

    def __panel__(self) -> Viewable:
        return self._view
