"""What the pages of experiments share: form, plan, results that grow while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel as pn
from panel.viewable import Viewable

from dashboards.components.help import amc_help
from dashboards.components.layout import columns, section
from dashboards.components.plan_panel import PlanPanel
from dashboards.parts.experiment_form import ExperimentForm
from dashboards.parts.experiment_results import ResultsPart
from dashboards.parts.experiment_state import ExperimentState
from dashboards.parts.failed_cells import FailedCells
from dashboards.plans import key_of
from dashboards.services import get_jobs
from dashboards.session import Session

if TYPE_CHECKING:
    from moma_app.experiments.plan import Plan
    from moma_app.experiments.standing import PlanStatus

SETTLED = 300
"""Milliseconds for which a form must stay as it is before its plan is looked up."""


class ExperimentPage:
    """An experiment in one tab: the address says which, the job layer how far it is.

    Args:
        session: of the page.
        state: of the page.
        form: that changes it.
        results: that are shown.
        heading: above the figure.
        note: below it, how the figure is read.
        table_note: how the table is read.
    """

    def __init__(
        self,
        session: Session,
        state: ExperimentState,
        form: ExperimentForm,
        results: ResultsPart[Any],
        *,
        heading: str,
        note: str,
        table_note: str,
    ) -> None:
        self._session, self._state, self._form, self._results = session, state, form, results
        self._texts = (heading, note, table_note)
        self._panel = PlanPanel(session, on_change=self._changed)
        self._failed = FailedCells(session)
        self._asked: dict[str, Any] | None = None
        self._seen: dict[str, Any] | None = None
        self._reads = 0
        session.follow(state)
        session.every(SETTLED, self._settle)
        self._look()

    def parts(self) -> list[Viewable]:
        """Return what the page shows, from top to bottom."""
        heading, note, table_note = self._texts
        return [
            columns(
                section("What to compare", self._form),
                pn.Column(
                    section("Progress", self._panel, self._failed),
                    section(heading, *self._results.figure, note=note),
                    sizing_mode="stretch_width",
                    margin=0,
                ),
                widths=[4, 8],
            ),
            section("Table", *self._results.table, note=table_note),
            section("How AMC works", amc_help()),
        ]

    # -- which plan ------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Look up the plan of the form when it has stayed as it is for a moment."""
        now = self._wanted()
        if now == self._seen and now != self._asked:
            self._look()
        self._seen = now

    def _wanted(self) -> dict[str, Any]:
        """Return the part of the state that decides the plan."""
        names = [name for name in self._state.names() if name not in self._state.shown]
        return {name: getattr(self._state, name) for name in names}

    def _look(self) -> None:
        wanted = self._asked = self._wanted()

        def current(action: Callable[..., None]) -> Callable[..., None]:
            def act(*values: Any) -> None:
                if wanted == self._asked:  # else the form has changed since
                    action(*values)

            return act

        self._session.background(self._state.plan, current(self._show), failed=current(self._cannot))

    def _show(self, plan: Plan) -> None:
        shown = self._panel.plan
        if shown is None or key_of(plan) != key_of(
            shown
        ):  # as the panel compares: it tells of what it shows anew
            self._results.clear()
            self._failed.show(())
            self._panel.show(plan)

    def _cannot(self, text: str) -> None:
        """Say why there is no plan."""
        self._results.clear()
        self._failed.show(())
        self._panel.clear(text)

    # -- what it gave ----------------------------------------------------------------------------

    def _changed(self, status: PlanStatus) -> None:
        """Read the results anew: another cell has finished or failed."""
        self._failed.show(status.of("failed"))
        plan = self._panel.plan
        if plan is None or not status.done:
            self._results.clear()
            return

        self._reads += 1
        this = self._reads

        def read() -> Callable[[], None]:
            from moma_app.experiments.standing import results

            return self._results.read(plan, results(plan, get_jobs()))

        def show(draw: Callable[[], None]) -> None:
            if plan is self._panel.plan and this == self._reads:  # else a later answer was quicker
                draw()

        self._session.background(read, show)
