"""Ablations: AMC beside simpler ways to choose and weigh modules (Figure 4 of the MoMa paper)."""

from __future__ import annotations

from collections.abc import Sequence

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.components.multi_picker import MultiPicker
from dashboards.parts.ablation_results import AblationResults
from dashboards.parts.experiment_form import ExperimentForm
from dashboards.parts.experiment_page import ExperimentPage
from dashboards.parts.experiment_state import AblationState
from dashboards.parts.experiment_words import method_label
from dashboards.parts.method_offers import method_offers
from dashboards.session import Session


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    state = AblationState(session.query)
    methods = MultiPicker(
        "Compared with AMC",
        "methods",
        state.methods,
        method_offers(besides=("amc",)),
        nothing="Choose methods",
        description="What the learner starts from instead of AMC's composed module.",
        short=method_label,
    )
    shots = pmui.IntInput(
        label="Training structures N (0: all)",
        value=state.shots,
        start=0,
        step=10,
        size="small",
        sizing_mode="stretch_width",
    )
    methods.param.watch(lambda event: state.param.update(methods=event.new), "value")
    shots.param.watch(session.guard(lambda event: state.param.update(shots=event.new or 0)), "value")
    return ExperimentPage(
        session,
        state,
        ExperimentForm(session, state, [methods, shots]),
        AblationResults(session),
        heading="Test error against AMC",
        note="With three datasets or more this is a radar chart with a corner for each. The same learner, the same rows.",
        table_note="Differences of the test MAE to that of AMC, mean ± standard deviation over splits and seeds of the "
        "differences on the same rows; + is worse than AMC.",
    ).parts()
