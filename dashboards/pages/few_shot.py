"""Few-shot: the error against the number of training structures (Figure 5 of the MoMa paper)."""

from __future__ import annotations

from collections.abc import Sequence

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.components.multi_picker import MultiPicker
from dashboards.parts.experiment_form import ExperimentForm
from dashboards.parts.experiment_page import ExperimentPage
from dashboards.parts.experiment_state import FewShotState, read_shots
from dashboards.parts.experiment_words import method_label
from dashboards.parts.few_shot_results import FewShotResults
from dashboards.parts.method_offers import method_offers
from dashboards.session import Session
from moma_app.errors import InputError


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    state = FewShotState(session.query)
    methods = MultiPicker(
        "Starts that are compared",
        "starts",
        state.methods,
        method_offers(),
        nothing="Choose starts",
        description="MoMa begins with AMC's composed module.",
        short=method_label,
    )
    methods.param.watch(lambda event: state.param.update(methods=event.new), "value")
    return ExperimentPage(
        session,
        state,
        ExperimentForm(session, state, [shots_field(session, state), methods]),
        FewShotResults(session, state),
        heading="Test error against the number of training structures",
        note="N structures are drawn from the training rows of each split; validation and test rows stay whole.",
        table_note="Test MAE, mean ± standard deviation over splits and seeds. The difference is that on the same "
        "rows: − is better than the bare backbone. An N that a split has no more rows than is left out.",
    ).parts()


def shots_field(session: Session, state: FewShotState) -> Viewable:
    """Return the field for the numbers of training structures."""
    field = pmui.TextInput(
        label="Training structures N",
        description="Numbers with commas between them; full is all training rows.",
        value=", ".join(state.shots),
        size="small",
        sizing_mode="stretch_width",
    )

    def take(text: str) -> None:
        given = [part for part in text.replace(";", ",").replace(" ", ",").split(",") if part]
        problem = "" if given else "At least one number is needed."
        try:
            for part in given:
                read_shots(part)
        except InputError as exc:
            problem = str(exc)
        field.param.update(error_state=bool(problem), helper_text=problem)
        if not problem:
            state.shots = given

    field.param.watch(session.guard(lambda event: take(event.new or "")), "value")
    shown: Viewable = field
    return shown
