"""StructureTable: predictions for structures, searched and sorted, with the chosen structure in 3D."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moma_app.errors import MomaError
from moma_app.markup import Markup, element
from moma_app.plots.crystals.frame import sent_structures, structure_frame
from moma_app.plots.crystals.payload import StructurePayload, payload_of
from moma_app.plots.crystals.picture import structure_svg
from moma_app.plots.still import still_table
from moma_app.plots.text import count, number, with_unit_after
from moma_app.widgets.base import Widget
from moma_app.widgets.look import Look, html, row
from moma_app.widgets.structure_rows import (
    ORDERS,
    StructureRow,
    cells,
    found,
    padded,
    rows_of,
    rows_of_result,
)
from moma_app.widgets.toolkit import ipywidgets

if TYPE_CHECKING:
    from moma_app.training.predictor import Prediction

MOST = 1000
"""Rows that the list shows at once; a search finds the others."""
MOST_STILL = 25
LINES = 14


class StructureTable(Widget):
    """A list of structures with what was predicted for them; the one that is chosen in 3D.

    Args:
        structures: pymatgen, ASE or ``Crystal`` objects, or what a run of ``moma predict`` returned, which has the
            predictions in it.
        prediction: for them, in the same order.
        labels: their names.
        targets: true values, where they are known.
        property: that was predicted.
        look: whether the view is for light or dark themes.

    Attributes:
        text, order, list: the controls; the list's value is the number of the row.

    Raises:
        InputError: what was given does not fit together, or a structure cannot be used.
    """

    def __init__(
        self,
        structures: Iterable[Any] | Mapping[str, Any],
        prediction: Prediction | None = None,
        *,
        labels: Sequence[str] | None = None,
        targets: Sequence[float] | None = None,
        property: str = "",  # noqa: A002 - what materials scientists call it
        look: Look = "auto",
    ) -> None:
        super().__init__(look=look)
        if isinstance(structures, Mapping):
            self.rows = rows_of_result(structures)
        else:
            self.rows = rows_of(structures, prediction, labels=labels, targets=targets, property=property)
        self._numbers = {id(each): number for number, each in enumerate(self.rows)}
        self._key = uuid.uuid4().hex
        self._listeners: list[Callable[[StructureRow], None]] = []
        self._shown: list[StructureRow] = []
        self._quiet = False
        self.text = ipywidgets.Text(
            placeholder="Search structure, formula …",
            layout=ipywidgets.Layout(flex="1 1 160px", width="auto"),
        )
        self.order = ipywidgets.Dropdown(
            options=self._orders(), value="As given", layout=ipywidgets.Layout(width="170px")
        )
        self._head = html(width="100%")
        self.list = ipywidgets.Select(options=[], rows=LINES, layout=ipywidgets.Layout(width="100%"))
        table = ipywidgets.VBox(
            [row(self.text, self.order), self._head, self.list, self._line],
            layout=ipywidgets.Layout(flex="3 1 420px", min_width="0"),
        )
        table.add_class("moma-rows")
        self._frame = html(flex="2 1 320px", min_width="260px")
        self._sent = html(width="0", height="0", overflow="hidden")
        both = ipywidgets.HBox(
            [table, self._frame], layout=ipywidgets.Layout(flex_flow="row wrap", grid_gap="4px 14px")
        )
        self._fill(both, self._sent)
        for control in (self.text, self.order):
            control.observe(self._guarded(lambda _: self._search()), "value")
        self.list.observe(self._guarded(lambda _: self._chosen()), "value")
        self._search()
        self._frame.value = str(structure_frame(self._payloads(), key=self._key, mode=look))

    # -- what it gives ---------------------------------------------------------------------------

    @property
    def selected(self) -> StructureRow | None:
        """The chosen row; ``None`` if the search finds none."""
        return None if self.list.value is None else self.rows[self.list.value]

    @property
    def found(self) -> list[StructureRow]:
        """The rows that the search finds, in its order."""
        return found(self.rows, self.text.value, self.order.value)

    def on_select(self, act: Callable[[StructureRow], None]) -> None:
        """Call a function with each row that the user chooses."""
        self._listeners.append(act)

    # -- what is shown ---------------------------------------------------------------------------

    def _orders(self) -> list[str]:
        needs = {
            "Lowest first": any(each.value is not None for each in self.rows),
            "Highest first": any(each.value is not None for each in self.rows),
            "Most certain first": any(each.std is not None for each in self.rows),
            "Largest error first": any(each.target is not None for each in self.rows),
        }
        return [name for name in ORDERS if needs.get(name, True)]

    def _search(self) -> None:
        all_found = self.found
        self._shown = all_found[:MOST]
        chosen = self.list.value
        numbers = [self._numbers[id(each)] for each in self._shown]
        head, *lines = padded(*cells(self._shown)) if self._shown else ["Nothing was found."]
        self._head.value = str(element("span", head))
        options = list(zip((line.replace(" ", "\N{NO-BREAK SPACE}") for line in lines), numbers, strict=True))
        kept = chosen if chosen in numbers else next(iter(numbers), None)
        self._quiet = True  # a list with other options chooses its first one
        self.list.options = options
        self.list.value = kept
        self._quiet = False
        if kept != chosen:
            self._chosen()
        of = count(len(self.rows), "row")
        said = of if len(all_found) == len(self.rows) else f"{len(all_found):,} of {of}"
        self._say(said + (f", the first {MOST:,} are listed" if len(all_found) > MOST else "") + ".")

    def _chosen(self) -> None:
        if self._quiet:
            return
        self._sent.value = str(sent_structures(self._key, self._payloads()))
        chosen = self.selected
        if chosen is not None:
            for act in self._listeners:
                act(chosen)

    def _payloads(self) -> list[StructurePayload]:
        chosen = self.selected
        payload = None if chosen is None else drawing(chosen)
        return [] if payload is None else [payload]

    def _still(self) -> Markup:
        shown = self._shown[:MOST_STILL]
        head, lines = cells(shown)
        numbers = [
            place for place, name in enumerate(head) if name.startswith(("Predicted", "True", "±", "Atoms"))
        ]
        table = still_table(head, lines, numbers=numbers)
        more = len(self.found) - len(shown)
        parts = [table, element("p", f"and {count(more, 'more row')}") if more > 0 else ""]
        picture = Markup("")
        if (payloads := self._payloads()) and self.selected is not None:
            caption = " ".join([self.selected.label, self.selected.formula, payloads[0]["note"]])
            picture = element("div", structure_svg(payloads[0]), element("p", caption))
        look = "display:flex;flex-wrap:wrap;gap:8px 28px;align-items:flex-start"
        return element("div", element("div", *parts), picture, style=look)

    def _words(self) -> str:
        chosen = self.selected
        return count(len(self.rows), "row") + ("" if chosen is None else f", selected={chosen.label!r}")


def drawing(chosen: StructureRow) -> StructurePayload | None:
    """Return what the 3D view shows of a row; ``None`` if its structure cannot be drawn."""
    if chosen.structure is None:
        return None
    note = ""
    if chosen.value is not None:
        std = "" if chosen.std is None else f" ± {number(chosen.std, 2)}"
        note = f"{chosen.property} {number(chosen.value, 4)}{std} {chosen.unit}".strip()
    if chosen.target is not None:
        note += f", true {with_unit_after(chosen.target, chosen.unit)}"
    try:
        return payload_of(chosen.structure, label=chosen.label, note=note)
    except MomaError:
        return None
