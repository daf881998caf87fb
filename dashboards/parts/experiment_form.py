"""The form that the pages of experiments share: datasets, splits, learner, hub, settings of AMC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import fold, literal, row
from dashboards.components.multi_picker import MultiPicker
from dashboards.components.task_picker import composable, offers
from dashboards.parts.experiment_state import ExperimentState
from dashboards.parts.hub_offers import HubOffers, hub_offers
from dashboards.parts.learner_form import LearnerForm
from dashboards.services import hub_choices
from dashboards.session import Session
from moma_app.plots.text import count

PUBLISHED = 5
"""Splits that are offered: those of the papers."""
KINDS = {"Full (all weights)": "full", "Adapter": "adapter"}
HELPED = ("user", "downstream")
"""Roles of the tasks that modules are to help."""


class ExperimentForm(Viewer):
    """Widgets of the state that all experiments share, and between them those of one experiment.

    Args:
        session: of the page.
        state: of the page; follows the widgets.
        own: widgets of this experiment.
    """

    modules = param.Dict(default={}, doc="Modules of the chosen hub: names by what a list shows.")

    def __init__(self, session: Session, state: ExperimentState, own: Sequence[Viewable | Viewer]) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._tasks = MultiPicker("Datasets", "datasets", state.tasks, nothing="Choose datasets")
        self._helped: list[str] = []
        self._all = _text_button("All downstream datasets", session, self._take_all)
        self._no_task = _text_button("None", session, lambda: self._tasks.param.update(value=[]))
        self._absent = _note()
        self._modules = MultiPicker(
            "Modules",
            "modules",
            state.modules,
            nothing="All modules of the hub",
            description="AMC weighs only these modules of the hub.",
        )
        self._hub_note = _note()
        self._backbone = pmui.Select(label="Backbone", options=[], visible=False, **_LOOK)
        self._tasks.param.watch(lambda event: state.param.update(tasks=event.new), "value")
        self._modules.param.watch(lambda event: state.param.update(modules=event.new), "value")
        self._backbone.param.watch(
            session.guard(lambda event: state.param.update(backbone=event.new or "")), "value"
        )
        state.param.watch(session.guard(lambda *_: self._look_into_hub()), ["hub", "kind", "backbone"])
        self._view = pn.Column(
            self._tasks,
            row(self._all, self._no_task),
            self._absent,
            self._seeds("Splits", "splits", "Which rows are for training, validation and test (70:15:15)."),
            *own,
            LearnerForm(session, state),
            self._hub(),
            self._modules,
            self._backbone,
            self._hub_note,
            fold(
                "More settings",
                self._kind(),
                self._seeds(
                    "Seeds", "seeds", "Of the fits, of random selections and of the rows of a few-shot set."
                ),
                pn.Row(
                    self._number("k", pmui.IntInput, "Neighbours K", 1),
                    self._number("t", pmui.FloatInput, "Temperature T", 0.05),
                    **_LINE,
                ),
            ),
            sizing_mode="stretch_width",
            margin=0,
        )
        session.background(read_tasks, self._offer_tasks)
        self._look_into_hub()

    # -- datasets --------------------------------------------------------------------------------

    def _offer_tasks(self, found: tuple[dict[str, str], list[str], int]) -> None:
        offered, self._helped, absent = found
        self._tasks.offer(offered)
        self._all.label = f"All downstream datasets ({len(self._helped)})"
        self._all.visible = bool(self._helped)
        self._absent.object = (
            f"{count(absent, 'more dataset')} of the catalogue {'is' if absent == 1 else 'are'} not on this machine: "
            "<code>moma tasks fetch NAME</code> gets one."
            if absent
            else ""
        )
        self._absent.visible = bool(absent)

    def _take_all(self) -> None:
        self._tasks.value = list(self._helped)

    # -- hub -------------------------------------------------------------------------------------

    def _hub(self) -> Viewable:
        hubs = hub_choices()
        if self._state.hub not in hubs.values():
            hubs[self._state.hub] = self._state.hub
        return self._bound(pmui.Select(label="Hub", options=hubs, value=self._state.hub, **_LOOK), "hub")

    def _kind(self) -> Viewable:
        return self._bound(
            pmui.Select(label="Module kind", options=KINDS, value=self._state.kind, **_LOOK), "kind"
        )

    def _look_into_hub(self) -> None:
        wanted = (self._state.hub, self._state.kind, self._state.backbone)

        def use(found: HubOffers) -> None:
            if wanted == (self._state.hub, self._state.kind, self._state.backbone):
                self._offer_modules(found)

        self._session.background(lambda: hub_offers(*wanted), use, failed=self._no_hub)

    def _offer_modules(self, found: HubOffers) -> None:
        state = self._state
        if len(found.backbones) > 1 and state.backbone not in found.backbones:
            state.backbone = found.backbones[0]  # modules of different backbones cannot be merged
            return
        if len(found.backbones) > 1:
            self._backbone.param.update(options=found.backbones, value=state.backbone)
        self._backbone.visible = len(found.backbones) > 1
        self._modules.offer(found.modules)
        self.modules = found.modules
        number = len(found.modules)
        said = (
            [f"The hub has {count(number, f'{state.kind} module')}."]
            if number
            else [
                f"This hub has no {state.kind} module: choose another hub or kind, or add modules on the Hub page."
            ]
        )
        if found.damaged:
            said.append(
                f"{count(found.damaged, 'card')} cannot be read: <code>moma hub verify</code> says why."
            )
        self._hub_note.object = " ".join(said)

    def _no_hub(self, text: str) -> None:
        self._modules.offer({})
        self.modules = {}
        self._hub_note.object = literal(text)

    # -- widgets ---------------------------------------------------------------------------------

    def _seeds(self, label: str, name: str, help_text: str) -> Viewable | Viewer:
        """Return a field for a list of seeds, of which at least one stays."""
        state = self._state
        seeds = [str(seed) for seed in getattr(state, name)]
        offered = {str(seed): str(seed) for seed in range(PUBLISHED)}
        picker = MultiPicker(
            label, label.lower(), seeds, offered, nothing=f"Choose {label.lower()}", description=help_text
        )

        def take(event: param.parameterized.Event) -> None:
            state.param.update(**{name: [int(seed) for seed in event.new]})

        picker.param.watch(self._session.guard(take), "value")
        return picker

    def _number(self, name: str, kind: type[Any], label: str, step: float) -> Viewable:
        start = 1 if isinstance(step, int) else 0.001
        return self._bound(
            kind(label=label, value=getattr(self._state, name), start=start, step=step, **_LOOK), name
        )

    def _bound(self, widget: Any, name: str) -> Viewable:
        """Let a part of the state follow a widget."""

        def take(event: param.parameterized.Event) -> None:
            if event.new is not None:
                self._state.param.update(**{name: event.new})

        widget.param.watch(self._session.guard(take), "value")
        shown: Viewable = widget
        return shown

    def __panel__(self) -> Viewable:
        return self._view


def read_tasks() -> tuple[dict[str, str], list[str], int]:
    """Return the tasks that are here by what a list shows, those that modules are to help, and how many are not here."""
    from moma_app.tasks import get_task

    tasks = {label: get_task(name) for label, name in offers(composable).items()}
    present = {label: task for label, task in tasks.items() if task.available}
    helped = [task.name for task in present.values() if task.spec.role in HELPED]
    return {label: task.name for label, task in present.items()}, helped, len(tasks) - len(present)


def _text_button(label: str, session: Session, action: Any) -> pmui.Button:
    button = pmui.Button(label=label, variant="text", size="small", margin=(0, 4))
    button.on_click(session.guard(lambda _: action()))
    return button


def _note() -> pmui.Typography:
    return pmui.Typography(
        "", variant="caption", margin=(0, 10), sx={"color": "text.secondary", "overflowWrap": "anywhere"}
    )


_LOOK: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width"}
_LINE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}
