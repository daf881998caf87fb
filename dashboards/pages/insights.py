"""Insights: which modules of a hub help which tasks (the paper's Figure 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.components.help import amc_help
from dashboards.components.layout import section
from dashboards.components.plan_panel import PlanPanel
from dashboards.parts.insights_agreement import AgreementPart, FetchPublished
from dashboards.parts.insights_cell import InsightsCell
from dashboards.parts.insights_data import Ours, published_map, published_or_none, read_ours
from dashboards.parts.insights_form import InsightsForm
from dashboards.parts.insights_map import InsightsMap
from dashboards.parts.insights_state import SELECTION, Choices, InsightsState, plan_of
from dashboards.session import Session
from moma_app.errors import MomaError

if TYPE_CHECKING:
    from moma_app.experiments.insights import Insights
    from moma_app.experiments.published import PublishedWeights
    from moma_app.experiments.standing import PlanStatus

NOTHING = "None of these compositions has been made yet: press Start above, and the map fills as they finish."


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    return InsightsPage(session).parts()


class InsightsPage:
    """The page in one tab: the form says which plan, the plan's compositions are the map."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._state = InsightsState(session.query)
        self._offered: Choices | None = None
        self._plan: Insights | None = None
        self._ours: Ours | None = None
        self._waiting = ""
        self._published: PublishedWeights | None = None
        self._panel = PlanPanel(session, on_change=self._read, noun="composition")
        self._map = InsightsMap(session, self._state, self._select)
        self._fetch = FetchPublished(session, self._read_published)
        self._cell = InsightsCell(session, self._state)
        self._agreement = AgreementPart(session, self._read_published)
        self._form = InsightsForm(session, self._state, self._offer)
        session.follow(self._state, steps=("view",))
        self._state.param.watch(session.guard(lambda *_: self._look()), list(SELECTION))
        self._state.param.watch(session.guard(lambda *_: self._draw()), "view")
        self._read_published()

    def parts(self) -> list[Viewable]:
        """Return what the page shows, from top to bottom."""
        return [
            section("", self._form, self._panel),
            section("", pmui.FlexBox(self._map, self._cell, sizing_mode="stretch_width", gap="16px")),
            section("Agreement with the published weights", self._agreement),
            section("How the weights come about", amc_help()),
        ]

    # -- which plan ------------------------------------------------------------------------------

    def _offer(self, offered: Choices | None) -> None:
        self._offered = offered
        if offered is None:
            self._no_plan("")
        else:
            self._look()

    def _look(self) -> None:
        """Show the plan of the form; nothing where it has none."""
        offered, state = self._offered, self._state
        if offered is None or (offered.hub, offered.kind) != (state.hub, state.kind):
            return
        try:
            plan = plan_of(state, offered)
        except MomaError as exc:
            self._no_plan(str(exc))
            return
        if plan != self._plan:
            self._plan, self._waiting = plan, ""
            self._panel.show(plan)
            self._have(None)

    def _no_plan(self, why: str) -> None:
        self._plan, self._waiting = None, why
        self._panel.clear()
        self._have(None)

    # -- what there is ---------------------------------------------------------------------------

    def _read(self, _: PlanStatus) -> None:
        """Read the compositions anew: another one has finished."""
        plan = self._plan
        if plan is None:
            return

        def use(ours: Ours) -> None:
            if plan is self._plan:
                self._have(ours)

        self._session.background(lambda: read_ours(plan), use)

    def _have(self, ours: Ours | None) -> None:
        self._ours = ours
        self._draw()
        self._compare()

    def _read_published(self) -> None:
        def use(published: PublishedWeights | None) -> None:
            self._published = published
            self._draw()
            self._compare()

        self._session.background(published_or_none, use)

    # -- drawing ---------------------------------------------------------------------------------

    def _draw(self) -> None:
        ours, published = self._ours, self._published
        if ours is None:
            self._cell.show(None, published, None)
        else:
            self._cell.show(ours.matrix, published, ours.cards)
        if self._state.view == "published":
            self._draw_published()
        elif ours is None:
            self._map.clear(self._waiting)
        elif not ours.matrix.present:
            self._map.clear(NOTHING)
        else:
            self._map.show(ours.maps[self._state.view])

    def _compare(self) -> None:
        ours, published = self._ours, self._published
        self._agreement.show(None if ours is None else ours.matrix, published)

    def _draw_published(self) -> None:
        if self._published is None:
            self._map.clear("", self._fetch)
            return
        try:
            self._map.show(published_map(self._published, self._state.tasks, self._state.splits))
        except MomaError as exc:
            self._map.clear(str(exc))

    def _select(self, task: str, module: str) -> None:
        self._state.param.update(task=task, module=module)
