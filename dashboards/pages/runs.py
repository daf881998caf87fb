"""Runs: everything that ran or runs, here or on the cluster."""

from __future__ import annotations

from collections.abc import Sequence

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.components.details import Details
from dashboards.components.layout import columns, muted, section
from dashboards.parts.run_compare import RunComparison
from dashboards.parts.run_detail import RunDetail
from dashboards.parts.run_list import RunList
from dashboards.parts.run_state import STEPS, RunsState
from dashboards.parts.tracking import mlflow_pages_installed, tracking_of
from dashboards.parts.workers import WorkersPart
from dashboards.services import get_jobs
from dashboards.session import Session


def build(session: Session) -> Sequence[Viewable]:
    """Show one run, a comparison of runs, or the list, as the address says."""
    state = RunsState(session.query)
    session.follow(state, steps=STEPS)
    place = pn.Column(sizing_mode="stretch_width", margin=0)
    overview: list[Viewable] = []
    shown: list[RunDetail] = []

    def show() -> None:
        while shown:
            shown.pop().close()
        if state.run:
            shown.append(RunDetail(session, state))
            place.objects = [*shown]
        elif state.compare:
            place.objects = [RunComparison(session, state)]
        else:
            if not overview:
                overview.extend(_overview(session, state))
            place.objects = overview

    state.param.watch(session.guard(lambda *_: show()), list(STEPS))
    show()
    return [place]


def _overview(session: Session, state: RunsState) -> list[Viewable]:
    return [
        RunList(session, state),
        columns(
            section("Workers", WorkersPart(session), min_height=150),
            section("Tracking", *_tracking(), min_height=150),
        ),
    ]


def _tracking() -> list[Viewable]:
    """Say where runs are recorded, and how to open MLflow's own pages."""
    tracking = tracking_of(get_jobs().store.uri)
    said: list[Viewable] = [Details({"Recorded in": tracking.place, "Command": tracking.command})]
    if tracking.link:
        return [
            muted("Every run is recorded on this MLflow server."),
            *said,
            pmui.Button(
                label="Open MLflow",
                icon="open_in_new",
                href=tracking.link,
                target="_blank",
                size="small",
                variant="outlined",
            ),
        ]
    install = "" if mlflow_pages_installed() else " It needs: pip install mlflow."
    return [
        muted(f"The command opens MLflow's own pages over the same runs, on a port of their own.{install}"),
        *said,
    ]
