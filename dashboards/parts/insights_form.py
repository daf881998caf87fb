"""The Insights page's form: what the map shows, of which hub, tasks and splits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import alert, row
from dashboards.components.multi_picker import MultiPicker
from dashboards.parts.insights_state import KINDS, ORDERS, SPLITS, VIEWS, Choices, InsightsState, choices
from dashboards.services import hub_choices
from dashboards.session import Session

_BESIDE = {"flex": "1 1 180px", "min-width": "150px", "max-width": "320px"}
_WIDE = {"flex": "4 1 420px", "min-width": "220px"}


class InsightsForm(Viewer):
    """Widgets of the state.

    Args:
        session: of the page.
        state: of the page.
        on_choices: is called in the page with what can be chosen, whenever another hub or kind was; with ``None``
            if there is no such hub.
    """

    def __init__(
        self, session: Session, state: InsightsState, on_choices: Callable[[Choices | None], None]
    ) -> None:
        super().__init__()
        self._session, self._state, self._on_choices = session, state, on_choices
        self._usual = ""  # backbone that most modules of the hub have; it is not named in the address
        self._hub = pmui.Select(label="Hub", **_LOOK)
        self._kind = pmui.Select(label="Module kind", options=KINDS, **_LOOK)
        self._backbone = pmui.Select(label="Backbone", options=[], **_LOOK)
        self._tasks = MultiPicker(
            "Tasks",
            "tasks",
            state.tasks,
            nothing="All downstream tasks that are here",
            description="Rows of the map. Tasks whose data is on this machine can be composed for.",
        )
        self._splits = pmui.CheckButtonGroup(label="Mean over splits", **_GROUP)
        self._view = pmui.RadioButtonGroup(label="Shown", options=VIEWS, **_GROUP)
        self._order = pmui.RadioButtonGroup(label="Order of modules and tasks", options=ORDERS, **_GROUP)
        self._problem = pn.Column(sizing_mode="stretch_width", margin=0)
        self._bind()
        self._show()
        self._layout = pn.Column(
            row(
                self._view,
                self._order,
                self._splits,
            ),
            row(
                self._hub,
                self._kind,
                self._backbone,
                pn.Column(self._tasks, styles=_WIDE, margin=0),
                margin=(10, 0, 0, 0),
            ),
            self._problem,
            sizing_mode="stretch_width",
            margin=0,
        )
        self._look_up()

    def _bind(self) -> None:
        widgets = {
            "view": self._view,
            "order": self._order,
            "hub": self._hub,
            "kind": self._kind,
            "tasks": self._tasks,
        }
        for name, widget in widgets.items():

            def take(event: param.parameterized.Event, name: str = name) -> None:
                if event.new is not None:
                    self._state.param.update(**{name: event.new})

            widget.param.watch(self._session.guard(take), "value")
        self._backbone.param.watch(self._session.guard(self._take_backbone), "value")
        self._splits.param.watch(self._session.guard(self._take_splits), "value")
        self._state.param.watch(self._session.guard(lambda *_: self._look_up()), ["hub", "kind"])

    def _take_backbone(self, event: param.parameterized.Event) -> None:
        self._state.backbone = "" if event.new in (None, self._usual) else event.new

    def _take_splits(self, event: param.parameterized.Event) -> None:
        if not event.new:
            self._splits.value = event.old
            self._session.fail("At least one split is needed.")
            return
        self._state.splits = sorted(event.new)

    def _show(self) -> None:
        """Show the state."""
        state = self._state
        hubs = hub_choices()
        if state.hub not in hubs.values():
            hubs[state.hub] = state.hub
        self._hub.param.update(options=hubs, value=state.hub)
        self._kind.value = state.kind
        self._view.value, self._order.value = state.view, state.order
        splits = sorted({*SPLITS, *state.splits})
        self._splits.param.update(options={f"{split}": split for split in splits}, value=list(state.splits))

    def _look_up(self) -> None:
        hub, kind = self._state.hub, self._state.kind
        self._session.background(lambda: choices(hub, kind), self._offer, failed=self._refuse)

    def _offer(self, offered: Choices) -> None:
        """Offer what a hub has, if it is still the chosen one."""
        state = self._state
        if (offered.hub, offered.kind) != (state.hub, state.kind):
            return
        self._problem.objects = []
        self._usual = offered.backbone("")
        if state.backbone == self._usual:
            state.backbone = ""
        known = {*offered.backbones, state.backbone} - {""}
        self._backbone.param.update(options=sorted(known), value=state.backbone or self._usual or None)
        self._tasks.offer({text: name for name, text in offered.tasks.items()})
        self._on_choices(offered)

    def _refuse(self, text: str) -> None:
        self._problem.objects = [alert("error", text)]
        self._on_choices(None)

    def __panel__(self) -> Viewable:
        return self._layout


_LOOK: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width", "styles": _BESIDE}
_GROUP: dict[str, Any] = {
    "size": "small",
    "color": "primary",
    "margin": (4, 10),
    "sx": {"& .MuiToggleButton-root": {"whiteSpace": "nowrap"}, "& .MuiFormLabel-root": {"fontSize": "12px"}},
}
