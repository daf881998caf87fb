"""Continual: what new modules change, in proxy error and in test error (Figure 6 of the MoMa paper)."""

from __future__ import annotations

from collections.abc import Sequence

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.components.multi_picker import MultiPicker
from dashboards.parts.continual_results import ContinualResults
from dashboards.parts.experiment_form import ExperimentForm
from dashboards.parts.experiment_page import ExperimentPage
from dashboards.parts.experiment_state import ContinualState
from dashboards.session import Session

PROXIES = {"AMC's objective (mean squared error)": "objective", "Mean absolute error": "mae"}


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    state = ContinualState(session.query)
    added = MultiPicker(
        "Added modules",
        "modules",
        state.added,
        nothing="Choose modules that the hub did not have before",
        description="The hub before is the hub without these; the newest modules come first in the list.",
    )
    proxy = pmui.Select(
        label="Proxy error",
        description="Of the weighted kNN estimate of the composition.",
        options=PROXIES,
        value=state.proxy,
        size="small",
        sizing_mode="stretch_width",
    )
    form = ExperimentForm(session, state, [added, proxy])
    added.param.watch(lambda event: state.param.update(added=event.new), "value")
    proxy.param.watch(session.guard(lambda event: state.param.update(proxy=event.new)), "value")
    form.param.watch(lambda event: added.offer(event.new), "modules")
    added.offer(form.modules)
    return ExperimentPage(
        session,
        state,
        form,
        ContinualResults(session),
        heading="Test error against proxy error",
        note="Points are means over splits and seeds. The proxy error of AMC can only fall with more modules; the question "
        "is whether the test error falls with it.",
        table_note="Decreases in % of the error before, on the same rows; + is better. The objective is in squared standard "
        "deviations of the training targets, MAEs in the dataset's unit.",
    ).parts()
