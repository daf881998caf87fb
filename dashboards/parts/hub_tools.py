"""Modules from elsewhere and to elsewhere, and whether all files are sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.buttons import action_button
from dashboards.components.layout import literal, muted, row
from dashboards.parts.hub_content import open_hub
from dashboards.parts.hub_exchange import SUFFIXES, add_uploads, destination, named
from dashboards.parts.hub_state import HubState
from dashboards.session import Session
from dashboards.uploads import DropBox, Upload
from moma_app.hub.hub import Damage
from moma_app.plots.text import count
from moma_app.progress import Event

_LOOK: dict[str, Any] = {"size": "small", "margin": (6, 8)}


class AddPart(Viewer):
    """Files that are dropped become modules of the hub."""

    def __init__(self, session: Session, state: HubState, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._session, self._state, self._on_change = session, state, on_change
        self._replace = pmui.Checkbox(label="Replace modules of the same name", value=False, margin=(6, 8))
        self._said = _Said()
        self._view = pn.Column(
            muted(
                "A module is a card (.json) and its tensors (.safetensors), or a zip file of such pairs, as Export gives it."
            ),
            DropBox(session, self._take, label="Drop a module's files here", suffixes=SUFFIXES, many=True),
            self._replace,
            self._said,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _take(self, uploads: list[Upload]) -> None:
        hub, overwrite = destination(self._state.hub), bool(self._replace.value)
        self._said.wait("Checking the files")

        def done(names: list[str]) -> None:
            self._said.tell(f"Added to {hub.folders[0]}: {', '.join(names)}.")
            self._on_change()

        self._session.background(
            lambda: add_uploads(hub, uploads, overwrite=overwrite), done, self._said.fail
        )

    def __panel__(self) -> Viewable:
        return self._view


class SharePart(Viewer):
    """Copies modules from and to Hugging Face or another folder."""

    def __init__(self, session: Session, state: HubState, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._session, self._state, self._on_change = session, state, on_change
        self._where = pmui.TextInput(
            label="OWNER/REPOSITORY on Hugging Face, or file:FOLDER", value="", width=360, **_LOOK
        )
        self._names = pmui.TextInput(label="Modules (empty: all)", value="", width=220, **_LOOK)
        self._replace = pmui.Checkbox(label="Replace modules of the same name", value=False, margin=(6, 8))
        self._public = pmui.Checkbox(label="A new repository is public", value=False, margin=(6, 8))
        self._pull = action_button(session, "Fetch", "download", self._fetch, **_LOOK)
        self._push = action_button(session, "Send", "upload", self._send, **_LOOK)
        self._said = _Said()
        self._view = pn.Column(
            muted(
                "Every file is compared with its card before it becomes part of a hub. Sending needs a token: hf auth login."
            ),
            row(self._where, self._names),
            row(self._replace, self._public),
            row(self._pull, self._push),
            self._said,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _asked(self) -> tuple[str, list[str] | None]:
        return self._where.value.strip(), named(self._names.value)

    def _fetch(self) -> None:
        source, names = self._asked()
        hub, overwrite = destination(self._state.hub), bool(self._replace.value)

        def pull() -> int:
            from moma_app.hub.remote import pull as fetch

            return len(fetch(hub, source, names, overwrite=overwrite, progress=self._step))

        def done(number: int) -> None:
            self._over(f"{count(number, 'module')} fetched into {hub.folders[0]}.")
            self._on_change()

        self._begin("Fetching")
        self._session.background(pull, done, self._fail)

    def _send(self) -> None:
        target, names = self._asked()
        hub, overwrite, private = open_hub(self._state.hub), bool(self._replace.value), not self._public.value

        def push() -> str:
            from moma_app.hub.remote import push as send

            return send(hub, target, names, overwrite=overwrite, private=private)

        self._begin("Sending")
        self._session.background(push, lambda where: self._over(f"Sent to {where}."), self._fail)

    def _step(self, event: Event) -> None:
        words = event.describe()
        self._session.later(lambda: self._said.wait(words))

    def _begin(self, text: str) -> None:
        self._pull.disabled = self._push.disabled = True
        self._said.wait(text)

    def _over(self, text: str) -> None:
        self._pull.disabled = self._push.disabled = False
        self._said.tell(text)

    def _fail(self, text: str) -> None:
        self._pull.disabled = self._push.disabled = False
        self._said.fail(text)

    def __panel__(self) -> Viewable:
        return self._view


class VerifyPart(Viewer):
    """Compares all files of the hub with their cards."""

    def __init__(self, session: Session, state: HubState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._button = action_button(session, "Verify all", "verified", self._verify, **_LOOK)
        self._said = _Said()
        self._view = pn.Column(
            muted("Reads every tensor file of this hub and compares it with the SHA-256 of its card."),
            row(self._button),
            self._said,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _verify(self) -> None:
        hub = open_hub(self._state.hub)
        self._button.disabled = True
        self._said.wait("Reading all files")

        def check() -> tuple[int, list[Damage]]:
            usable, damaged = hub.check()
            return len(usable), damaged

        def done(result: tuple[int, list[Damage]]) -> None:
            sound, damaged = result
            self._button.disabled = False
            if damaged:
                reasons = "\n".join(damage.reason for damage in damaged)
                self._said.fail(f"{count(sound, 'module')} sound, {len(damaged)} damaged.\n{reasons}")
            else:
                self._said.tell(f"{count(sound, 'module')} sound." if sound else "This hub has no module.")

        def fail(text: str) -> None:
            self._button.disabled = False
            self._said.fail(text)

        self._session.background(check, done, fail)

    def __panel__(self) -> Viewable:
        return self._view


class _Said(Viewer):
    """What has become of the last thing that was asked."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = pmui.LinearProgress(
            variant="indeterminate", sizing_mode="stretch_width", margin=(4, 10), visible=False
        )
        self._note = pmui.Alert(
            title="", object="", sizing_mode="stretch_width", margin=(4, 10), visible=False
        )
        self._view = pn.Column(self._bar, self._note, sizing_mode="stretch_width", margin=0, min_height=54)

    def wait(self, text: str) -> None:
        """Say what is being done."""
        self._bar.visible = True
        self._show(f"{text} …", "info")

    def tell(self, text: str) -> None:
        """Say that it is done."""
        self._bar.visible = False
        self._show(text, "success")

    def fail(self, text: str) -> None:
        """Say what went wrong."""
        self._bar.visible = False
        self._show(text, "error")

    def _show(self, text: str, kind: str) -> None:
        shown = "<br>".join(literal(line) for line in text.splitlines())
        self._note.param.update(object=shown, severity=kind, visible=True)

    def __panel__(self) -> Viewable:
        return self._view
