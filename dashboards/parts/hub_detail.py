"""One module: what it predicts and how well, where it comes from, how it was trained, what it contributes."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.address import query_of
from dashboards.components.buttons import action_button, back_button
from dashboards.components.confirm import Confirm
from dashboards.components.details import Details
from dashboards.components.download import download
from dashboards.components.figure import Figure
from dashboards.components.layout import below, columns, empty, literal, row, section
from dashboards.parts.hub_content import open_hub, read_content
from dashboards.parts.hub_exchange import exported
from dashboards.parts.hub_state import HubState
from dashboards.parts.hub_uses import UsesPart
from dashboards.session import Session
from moma_app.hub.content import Content, Entry
from moma_app.plots.card_words import about, provenance


class ModuleDetail(Viewer):
    """The module that the address names.

    Args:
        session: of the page.
        state: of the page.
    """

    def __init__(self, session: Session, state: HubState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._hub, self._name = state.hub, state.module
        self._confirm = Confirm(session)
        self._place = pn.Column(
            empty("Reading the hub …"), sizing_mode="stretch_width", min_height=400, margin=0
        )
        self._view = pn.Column(self._place, self._confirm, sizing_mode="stretch_width", margin=0)
        hub = self._hub
        session.background(lambda: read_content(hub), self._show, failed=self._missing)

    def _missing(self, text: str) -> None:
        self._place.objects = [empty(text, self._back())]

    def _show(self, content: Content) -> None:
        entry = content.find(self._name)
        if entry is None:
            reasons = [damage.reason for damage in content.damaged if damage.name == self._name]
            self._missing(reasons[0] if reasons else f"This hub has no module {self._name!r}.")
            return
        card = entry.card
        curve: Any = empty("The card has no learning curve.")
        if card.curve:
            curve = Figure(self._session, height=330)
            curve.show(_curve(entry))
        self._place.objects = [
            section(
                "",
                row(
                    self._back(),
                    pmui.Typography(
                        literal(card.name), variant="h6", margin=(4, 10), sx={"overflowWrap": "anywhere"}
                    ),
                ),
                self._actions(entry),
            ),
            columns(
                below(
                    section(
                        "What it predicts", Details(about(card, [each.card for each in content.entries]))
                    ),
                    section("Provenance", Details(provenance(card))),
                ),
                below(
                    section("Learning curve", curve, min_height=380),
                    section("What it contributes", UsesPart(self._session, card)),
                ),
                widths=[5, 7],
            ),
        ]

    def _back(self) -> Viewable:
        return back_button(self._session, "All modules", lambda: self._state.param.update(module=""))

    # -- what is done ----------------------------------------------------------------------------

    def _actions(self, entry: Entry) -> Viewable:
        hub, name = self._hub, self._name
        start = query_of({"start": "module", "module": name, "hub": hub, "kind": entry.card.kind})
        tune = pmui.Button(
            label="Fine-tune from it",
            icon="tune",
            size="small",
            variant="outlined",
            href=self._session.link("finetune", start),
        )
        verify = action_button(self._session, "Verify", "verified", self._verify)
        export = download(self._session, "Export (zip)", f"{name}.zip", lambda: exported(open_hub(hub), name))
        remove = action_button(
            self._session,
            "Remove",
            "delete",
            self._ask_remove,
            color="error",
            disabled=not entry.own,
            description="" if entry.own else "Modules that come with MoMa stay.",
        )
        return row(tune, verify, export, remove)

    def _verify(self) -> None:
        hub, name = self._hub, self._name

        def check() -> None:
            open_hub(hub)[name].verify()

        def sound(_: None) -> None:
            self._session.say(f"{name} is sound: its file has the SHA-256 of its card.")

        self._session.background(check, sound)

    def _ask_remove(self) -> None:
        hub, name = self._hub, self._name

        def done(_: None) -> None:
            self._session.say(f"{name} is removed.")
            self._state.module = ""

        self._confirm.ask(
            "Remove this module?",
            f"{name}: its card and tensors are deleted from {open_hub(hub).folders[0]}. This cannot be undone.",
            "Remove it",
            lambda: self._session.background(lambda: open_hub(hub).remove(name), done),
        )

    def __panel__(self) -> Viewable:
        return self._view


def _curve(entry: Entry) -> Any:
    card = entry.card

    def draw(mode: Any) -> Any:
        from moma_app.plots.card_curve import series_curves, series_of_card

        series = series_of_card(card)
        assert series is not None
        return series_curves(
            [series], card.target.unit, classes=card.target.kind == "classification", mode=mode
        )

    return draw
