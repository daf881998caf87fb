"""What the Compose page shows: the state in its address, and the form that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.address import PageState
from dashboards.components.task_picker import TaskPicker, composable
from dashboards.services import hub_choices
from dashboards.session import Session

if TYPE_CHECKING:
    from moma_app.jobs.spec import RunSpec

LARGEST_K = 32
SPLITS = {f"{number}": number for number in range(5)}
KINDS = {"Full (all weights)": "full", "Adapter": "adapter"}


class ComposeState(PageState):
    """Dataset, rows, hub and settings of AMC; the run that is shown; the module that is explained."""

    task = param.String()
    split = param.Integer(default=0, bounds=(0, None))
    shots = param.Integer(default=0, bounds=(0, None), doc="Training structures; 0 takes all.")
    hub = param.String()
    kind = param.Selector(default="full", objects=["full", "adapter"])
    k = param.Integer(default=5, bounds=(1, None))
    t = param.Number(default=0.2, bounds=(0, None), inclusive_bounds=(False, True))
    off = param.List(default=[], item_type=str, doc="Modules that are switched off.")
    run = param.String(doc="Run that is shown.")
    module = param.String(doc="Module that is explained.")

    def spec(self) -> RunSpec:
        """Define the run that composes what the form says and fits an instant predictor."""
        from moma_app.tasks import get_task
        from moma_app.work.compose import compose_spec
        from moma_app.work.composing import AMC

        amc = AMC(self.hub or None, None, self.kind, k=self.k, temperature=self.t)
        if self.off:
            settled = amc.settled()
            chosen = [name for name in settled.modules or [] if name not in self.off]
            amc = AMC(settled.hub, chosen, self.kind, k=self.k, temperature=self.t)
        return compose_spec(
            get_task(self.task),
            amc=amc,
            split=self.split,
            shots=self.shots or None,
            instant=True,
            mix=amc.independent(),
        )


class ComposeForm(Viewer):
    """Widgets of the state: dataset and rows, hub and modules, K and T."""

    def __init__(self, session: Session, state: ComposeState) -> None:
        super().__init__()
        self.tasks = TaskPicker(session, state.task, accept=composable)
        split = pmui.Select(
            label="Split (seed)",
            options=SPLITS if state.split < len(SPLITS) else {**SPLITS, f"{state.split}": state.split},
            value=state.split,
            size="small",
            sizing_mode="stretch_width",
        )
        shots = pmui.IntInput(
            label="Training N (0: all)",
            value=state.shots,
            start=0,
            step=10,
            size="small",
            sizing_mode="stretch_width",
        )
        hubs = {address: name for name, address in hub_choices().items()}
        names = {
            name: address
            for address, name in {**hubs, **({} if state.hub in hubs else {state.hub: state.hub})}.items()
        }
        hub = pmui.Select(
            label="Hub", options=names, value=state.hub, size="small", sizing_mode="stretch_width"
        )
        kind = pmui.Select(
            label="Module kind", options=KINDS, value=state.kind, size="small", sizing_mode="stretch_width"
        )
        k = pmui.IntSlider(
            label="Neighbours K",
            value=min(state.k, LARGEST_K),
            start=1,
            end=LARGEST_K,
            sizing_mode="stretch_width",
            margin=(10, 16),
        )
        t = pmui.FloatInput(
            label="Temperature T",
            value=state.t,
            start=0.001,
            step=0.05,
            size="small",
            sizing_mode="stretch_width",
        )
        self.tasks.param.watch(lambda event: state.param.update(task=event.new), "value")
        for widget, name in (
            (split, "split"),
            (shots, "shots"),
            (hub, "hub"),
            (kind, "kind"),
            (k, "k"),
            (t, "t"),
        ):
            self._bind(session, state, widget, name)
        self._view = pn.Column(
            self.tasks,
            pn.Row(split, shots, sizing_mode="stretch_width", margin=0),
            pn.Row(hub, kind, sizing_mode="stretch_width", margin=0),
            pn.Row(k, t, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )

    @staticmethod
    def _bind(session: Session, state: ComposeState, widget: param.Parameterized, name: str) -> None:
        def take(event: param.parameterized.Event) -> None:
            if event.new is not None:
                state.param.update(**{name: event.new})

        widget.param.watch(session.guard(take), "value")

    def __panel__(self) -> Viewable:
        return self._view
