"""Hub: the modules, where they come from, what they can do; train, add, share and verify them."""

from __future__ import annotations

from collections.abc import Sequence

import panel as pn
from panel.viewable import Viewable

from dashboards.components.layout import columns, section
from dashboards.parts.hub_detail import ModuleDetail
from dashboards.parts.hub_grid import HubGrid
from dashboards.parts.hub_state import STEPS, HubState
from dashboards.parts.hub_tools import AddPart, SharePart, VerifyPart
from dashboards.parts.hub_train import TrainForm
from dashboards.session import Session


def build(session: Session) -> Sequence[Viewable]:
    """Show one module, or the grid of all with what can be done with a hub."""
    state = HubState(session.query)
    session.follow(state, steps=STEPS)
    # What is hidden stays: put in anew, parts of a page lose their size and what they were about to say.
    detail = pn.Column(sizing_mode="stretch_width", margin=0)
    overview = pn.Column(sizing_mode="stretch_width", margin=0)
    grid: list[HubGrid] = []

    def show() -> None:
        if state.module:
            detail.objects = [ModuleDetail(session, state)]
        elif grid:
            grid[0].refresh()
        else:
            grid.append(HubGrid(session, state))
            overview.objects = _overview(session, state, grid[0])
        detail.visible, overview.visible = bool(state.module), not state.module

    state.param.watch(session.guard(lambda *_: show()), list(STEPS))
    show()
    return [detail, overview]


def _overview(session: Session, state: HubState, grid: HubGrid) -> list[Viewable]:
    return [
        grid,
        section("Train a module", TrainForm(session, state, grid.refresh)),
        columns(
            section("Add a module from files", AddPart(session, state, grid.refresh)),
            section("Fetch and send modules", SharePart(session, state, grid.refresh)),
        ),
        section("Verify", VerifyPart(session, state)),
    ]
