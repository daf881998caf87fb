"""The modules of a hub as cards: searched, filtered, sorted, paged; good for 1 and for 400."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.address import query_of
from dashboards.components.cards import Cards
from dashboards.components.layout import empty, muted, row, section
from dashboards.parts.hub_choice import HubChoice
from dashboards.parts.hub_content import read_content
from dashboards.parts.hub_state import HubState
from dashboards.session import Session
from moma_app.hub.content import ORDERS, ROWS, Content, found, sheet
from moma_app.plots.card_words import card_item, damage_item
from moma_app.plots.text import count

_FILTERS = ("text", "backbone", "kind", "family", "order")


class HubGrid(Viewer):
    """Cards of the modules that the address asks for.

    Args:
        session: of the page.
        state: of the page.
        on_content: is called with the hub's content whenever it has been read.
    """

    def __init__(
        self, session: Session, state: HubState, on_content: Callable[[Content], None] = lambda _: None
    ) -> None:
        super().__init__()
        self._session, self._state, self._on_content = session, state, on_content
        self._content: Content | None = None
        look: dict[str, Any] = {"size": "small", "margin": (6, 8)}
        self._text = pmui.TextInput(
            label="Search", placeholder="Name, property, source …", value=state.text, width=230, **look
        )
        self._backbone = pmui.Select(label="Backbone", width=150, **look)
        self._kind = pmui.Select(
            label="Kind",
            options={"All kinds": "", "Full": "full", "Adapter": "adapter"},
            value=state.kind,
            width=130,
            **look,
        )
        self._family = pmui.Select(label="Family", width=170, **look)
        self._order = pmui.Select(
            label="Sort by",
            options={order.label: name for name, order in ORDERS.items()},
            value=state.order,
            width=220,
            **look,
        )
        self._offer(self._backbone, "All backbones", (), state.backbone)
        self._offer(self._family, "All families", (), state.family)
        widgets = (self._text, self._backbone, self._kind, self._family, self._order)
        for widget, name in zip(widgets, _FILTERS, strict=True):
            self._bind(widget, name)
        self._count = pmui.Typography("", variant="body2", margin=(8, 10), sx={"color": "text.secondary"})
        self._pages = pmui.Pagination(
            count=1,
            value=0,
            size="small",
            show_first_button=True,
            show_last_button=True,
            visible=False,
            margin=(4, 10),
        )
        self._pages.param.watch(session.guard(lambda event: state.param.update(sheet=event.new + 1)), "value")
        self._cards = Cards(session, self._open)
        self._damaged = Cards(session, self._open)
        self._damage_note = muted("These modules cannot be used:")
        self._place = pn.Column(
            empty("Reading the hub …"), sizing_mode="stretch_width", min_height=220, margin=0
        )
        self._view = section(
            "",
            HubChoice(session, state),
            row(*widgets),
            row(self._count, self._pages, justify_content="space-between"),
            self._place,
        )
        state.param.watch(session.guard(lambda _: self.refresh()), "hub")
        state.param.watch(session.guard(lambda *_: self._draw()), [*_FILTERS, "sheet"])
        self.refresh()

    def refresh(self) -> None:
        """Read the hub again, if one of its cards has changed."""
        hub = self._state.hub

        def show(content: Content) -> None:
            if hub == self._state.hub:
                self._content = content
                self._on_content(content)
                self._fill_filters(content)
                self._draw()

        self._session.background(lambda: read_content(hub), show, failed=self._missing)

    def _missing(self, text: str) -> None:
        self._content = None
        self._count.object, self._pages.visible = "", False
        self._place.objects = [empty(text)]

    # -- filters ---------------------------------------------------------------------------------

    def _bind(self, widget: Any, name: str) -> None:
        def take(event: Any) -> None:
            if event.new != getattr(self._state, name):
                self._state.param.update(**{name: event.new or "", "sheet": 1})

        widget.param.watch(self._session.guard(take), "value")

    def _fill_filters(self, content: Content) -> None:
        state, entries = self._state, content.entries
        self._offer(
            self._backbone, "All backbones", (entry.card.backbone for entry in entries), state.backbone
        )
        self._offer(self._family, "All families", (entry.family for entry in entries), state.family)
        for widget, name in ((self._kind, "kind"), (self._order, "order"), (self._text, "text")):
            widget.value = getattr(state, name)

    @staticmethod
    def _offer(widget: pmui.Select, everything: str, names: Iterable[str], chosen: str) -> None:
        offered = sorted({*names, *([chosen] if chosen else [])})
        widget.param.update(options={everything: "", **{name: name for name in offered}}, value=chosen)

    # -- cards -----------------------------------------------------------------------------------

    def _draw(self) -> None:
        if self._content is None:
            return
        content, state = self._content, self._state
        wanted = found(content.entries, state.search())
        shown, sheets = sheet(wanted, state.sheet)
        first = ROWS * (min(state.sheet, sheets) - 1) + 1
        self._count.object = (
            f"{first:,}–{first + len(shown) - 1:,} of {count(len(wanted), 'module')}" if shown else ""
        )
        self._pages.count = sheets  # bounds the value
        self._pages.param.update(value=min(state.sheet, sheets) - 1, visible=sheets > 1)
        self._cards.show([card_item(entry, self._address(entry.card.name)) for entry in shown])
        self._damaged.show([damage_item(damage) for damage in content.damaged])
        parts: list[Viewable] = [self._cards] if shown else [self._nothing(content)]
        if content.damaged:
            parts += [self._damage_note, self._damaged]
        if self._place.objects != parts:
            self._place.objects = parts

    def _nothing(self, content: Content) -> Viewable:
        if content.entries:
            return empty("No module fits: change the search above.")
        return empty("This hub has no module yet: train one, add files, or fetch a hub below.")

    def _address(self, module: str) -> str:
        return self._session.link("hub", query_of({"hub": self._state.hub, "module": module}))

    def _open(self, name: str) -> None:
        self._state.module = name

    def __panel__(self) -> Viewable:
        return self._view
