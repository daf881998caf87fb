"""Which hub the page shows: the user's and the built-in one, one of them, or any folder."""

from __future__ import annotations

from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import row
from dashboards.parts.hub_state import HubState
from dashboards.services import hub_choices
from dashboards.session import Session

FOLDER = "folder"
"""Value of the choice "A folder"; no hub has this address."""


class HubChoice(Viewer):
    """A list of hubs, and a field for a folder."""

    def __init__(self, session: Session, state: HubState) -> None:
        super().__init__()
        self._state = state
        known = hub_choices()
        chosen = state.hub if state.hub in known.values() else FOLDER
        look: dict[str, Any] = {"size": "small", "margin": (6, 8)}
        self._select = pmui.Select(
            label="Hub", options={**known, "A folder …": FOLDER}, value=chosen, width=200, **look
        )
        self._folder = pmui.TextInput(
            label="Folder of the hub",
            placeholder="/path/of/a/hub, then Enter",
            value=state.hub if chosen == FOLDER else "",
            visible=chosen == FOLDER,
            width=320,
            **look,
        )
        self._select.param.watch(session.guard(lambda event: self._choose(event.new)), "value")
        self._folder.param.watch(session.guard(lambda event: self._open(event.new)), "value")

    def _choose(self, value: str) -> None:
        self._folder.visible = value == FOLDER
        if value != FOLDER:
            self._show(value)

    def _open(self, text: str) -> None:
        if text.strip() and self._select.value == FOLDER:
            self._show(text.strip())

    def _show(self, hub: str) -> None:
        self._state.param.update(hub=hub, module="", sheet=1, backbone="", family="", kind="")

    def __panel__(self) -> Viewable:
        return row(self._select, self._folder)
