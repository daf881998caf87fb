"""HubExplorer: the modules of a hub as cards, searched and filtered; one of them in detail with its learning curve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.errors import UnknownNameError
from moma_app.hub.content import ORDERS, Entry, Search, content_of, found
from moma_app.hub.hub import Hub
from moma_app.hub.quality import quality_among
from moma_app.markup import Markup, element, join
from moma_app.plots.card_words import about, card_item, provenance
from moma_app.plots.still import sparkline, still_curves, still_table
from moma_app.plots.text import count
from moma_app.widgets.base import Widget
from moma_app.widgets.figure import FigureBox
from moma_app.widgets.look import Look, facts, html, muted, row
from moma_app.widgets.toolkit import ipywidgets

if TYPE_CHECKING:
    from moma_app.hub.card import Card
    from moma_app.hub.module import Module

SHEET = 12
"""Cards that are shown at once."""
_ON_CARD = ("Test MAE", "Test", "MAE/MAD", "Training data")


class HubExplorer(Widget):
    """Cards of a hub's modules.

    Args:
        hub: a hub, its name or folder; ``None`` for the user's and the built-in one.
        module: name of the module that is shown in detail at first.
        look: whether the figures are for light or dark themes.

    Attributes:
        text, family, kind, order, sheet: the controls; setting their values searches.

    Raises:
        InputError: there is no such hub.
        UnknownNameError: it has no such module.
    """

    def __init__(self, hub: str | Path | Hub | None = None, *, module: str = "", look: Look = "auto") -> None:
        super().__init__(look=look)
        self.hub = hub if isinstance(hub, Hub) else Hub.open(hub)
        self._selected = ""
        self._module: Module | None = None
        self._quiet = False
        self._listeners: list[Callable[[Module], None]] = []
        self.text = ipywidgets.Text(
            placeholder="Search name, property, source …",
            continuous_update=True,
            layout=ipywidgets.Layout(flex="1 1 200px", width="auto"),
        )
        self.family = _dropdown()
        self.kind = _dropdown()
        self.order = _dropdown([(order.label, name) for name, order in ORDERS.items()], "name")
        self.sheet = ipywidgets.BoundedIntText(
            value=1, min=1, max=1, description="Page", layout=ipywidgets.Layout(width="120px")
        )
        self._cards: dict[str, Any] = {}
        self._grid = ipywidgets.Box()
        self._grid.add_class("moma-cards")
        self._detail = html(flex="1 1 320px")
        self._figure = FigureBox(look)
        self._figure.layout.width = "auto"
        self._figure.layout.flex = "1 1 380px"
        self._below = ipywidgets.HBox(
            [self._detail, self._figure],
            layout=ipywidgets.Layout(flex_flow="row wrap", grid_gap="4px 20px", display="none"),
        )
        controls = row(self.text, self.family, self.kind, self.order, self.sheet)
        self._fill(controls, self._line, self._grid, self._below)
        for control in (self.text, self.family, self.kind, self.order):
            control.observe(self._guarded(lambda _: self._search()), "value")
        self.sheet.observe(self._guarded(lambda _: self._show()), "value")
        self.refresh()
        if module:
            self.select(module)

    # -- what it gives ---------------------------------------------------------------------------

    @property
    def selected(self) -> Module | None:
        """The module whose details are shown; ``None`` if none is."""
        return self._module

    @property
    def found(self) -> list[Card]:
        """Cards of the modules that the search finds, in its order."""
        return [entry.card for entry in self._found]

    def select(self, name: str) -> None:
        """Show a module's details.

        Raises:
            UnknownNameError: there is no such module that can be used.
        """
        entry = self._content.find(name)
        if entry is None:
            raise UnknownNameError(
                "module in this hub", name, [each.card.name for each in self._content.entries]
            )
        for other in (self._selected, name):
            if other in self._cards:
                self._cards[other].remove_class("moma-chosen")
        self._selected = name
        if name in self._cards:
            self._cards[name].add_class("moma-chosen")
        self._details(entry)
        self._module = self.hub[name]
        for act in self._listeners:
            act(self._module)

    def on_select(self, act: Callable[[Module], None]) -> None:
        """Call a function with each module that the user chooses."""
        self._listeners.append(act)

    def refresh(self) -> None:
        """Read the hub again."""
        from moma_app.tasks.families import family_of

        self._content = content_of(self.hub, family_of)
        entries = self._content.entries
        self._quiet = True
        _offer(self.family, "All families", {entry.family for entry in entries})
        _offer(self.kind, "All kinds", {entry.card.kind for entry in entries})
        self._quiet = False
        self._search()

    # -- what is shown ---------------------------------------------------------------------------

    def _search(self) -> None:
        if self._quiet:
            return
        search = Search(self.text.value, "", self.kind.value, self.family.value, self.order.value)
        self._found = found(self._content.entries, search)
        sheets = max(1, -(-len(self._found) // SHEET))
        if self.sheet.value > sheets:
            self.sheet.value = 1
        self.sheet.max = sheets
        self.sheet.description = f"Page of {sheets}"
        self.sheet.layout.display = None if sheets > 1 else "none"
        self._show()

    def _show(self) -> None:
        first = SHEET * (self.sheet.value - 1)
        shown = self._found[first : first + SHEET]
        before = list(self._grid.children)
        self._cards = {entry.card.name: self._card(entry) for entry in shown}
        damaged = [self._damaged(each.name, each.reason) for each in self._content.damaged]
        self._grid.children = (*self._cards.values(), *damaged)
        for card in before:
            _close(card)
        of = len(self._content.entries)
        n = len(self._found)
        said = count(of, "module") if n == of else f"{n} of {count(of, 'module')}"
        self._say(said + ("" if n else ": change the search above") + ".")

    def _card(self, entry: Entry) -> Any:
        item = card_item(entry, "")
        name = ipywidgets.Button(description=item["name"], tooltip=f"Show {item['name']} in detail")
        name.on_click(self._guarded(lambda _: self.select(entry.card.name)))
        badges = [element("span", badge, class_="moma-badge") for badge in item["badges"]]
        known = {key: value for key, value in item["facts"] if key in _ON_CARD}
        body = html(
            join(
                [
                    element("div", item["subtitle"]),
                    element("div", join(badges, " ")),
                    element(
                        "div",
                        facts(known),
                        sparkline(item["spark"], item["spark_text"]),
                        style="display:flex;justify-content:space-between;align-items:flex-end;margin-top:3px",
                    ),
                ]
            )
        )
        card = ipywidgets.VBox([name, body])
        card.add_class("moma-card")
        if entry.card.name == self._selected:
            card.add_class("moma-chosen")
        return card

    def _damaged(self, name: str, reason: str) -> Any:
        card = ipywidgets.VBox([html(join([element("b", name), element("p", reason, class_="moma-error")]))])
        card.add_class("moma-card")
        return card

    def _details(self, entry: Entry) -> None:
        from moma_app.plots.card_curve import series_curves, series_of_card

        card = entry.card
        self._detail.value = str(self._told(card))
        self._below.layout.display = None
        series = series_of_card(card)
        if series is None:
            self._figure.clear("The card has no learning curve.")
            return
        classes = card.target.kind == "classification"
        self._figure.show(series_curves([series], card.target.unit, classes=classes, mode=self._figure.mode))

    def _told(self, card: Card) -> Markup:
        among = quality_among(card, (entry.card for entry in self._content.entries))
        return join(
            [
                element("div", card.name, class_="moma-title"),
                facts(about(card, among)),
                element(
                    "details",
                    element("summary", muted("Provenance")),
                    facts(provenance(card)),
                ),
            ]
        )

    def _still(self) -> Markup:
        rows = []
        for entry in self._found:
            item = card_item(entry, "")
            known = dict(item["facts"])
            rows.append(
                [
                    item["name"],
                    item["subtitle"],
                    entry.family,
                    entry.card.kind,
                    known.get("Test MAE") or known.get("Test", ""),
                    known["MAE/MAD"],
                    sparkline(item["spark"], item["spark_text"]),
                ]
            )
        head = ["Module", "Predicts", "Family", "Kind", "Test MAE", "MAE/MAD", "Validation error"]
        parts = [
            element("p", element("b", f"Hub: {count(len(self._found), 'module')}")),
            still_table(head, rows, numbers=[5]),
        ]
        if self._selected:
            parts.append(self._still_detail(self.hub[self._selected].card))
        return join(parts)

    def _still_detail(self, card: Card) -> Markup:
        from moma_app.plots.card_curve import series_of_card
        from moma_app.plots.payloads import curves_of

        series = series_of_card(card)
        told = [[name, value] for name, value in about(card).items() if value]
        parts = [element("p", element("b", card.name)), still_table(["", ""], told)]
        if series is not None:
            classes = card.target.kind == "classification"
            parts.append(still_curves(curves_of([series], card.target.unit, classes=classes)))
        return join(parts)

    def _words(self) -> str:
        chosen = f", selected={self._selected!r}" if self._selected else ""
        return f"{count(len(self._found), 'module')}{chosen}"


def _dropdown(options: list[tuple[str, str]] | None = None, value: str = "") -> Any:
    return ipywidgets.Dropdown(
        options=options or [("", "")], value=value, layout=ipywidgets.Layout(width="170px")
    )


def _offer(widget: Any, everything: str, names: set[str]) -> None:
    chosen = widget.value
    options = [(everything, ""), *((name, name) for name in sorted(names))]
    widget.options = options
    widget.value = chosen if chosen in names else ""


def _close(card: Any) -> None:
    for child in card.children:
        child.close()
    card.close()
