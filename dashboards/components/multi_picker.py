"""Choosing several things of a list: search, ticks, all or none at once; the field stays one line high."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from moma_app.plots.text import shorten

SHOWN = 3
"""Names that stand in the field; more are counted."""


class MultiPicker(Viewer):
    """A field whose list has a search box and a tick for each thing.

    Args:
        label: of the field.
        noun: what is chosen, in the plural: "datasets".
        value: what is chosen at first.
        options: names by what the list shows; a name that is chosen but not among them is offered by its name.
        nothing: what is said below the field when nothing is chosen.
        description: a sentence of help.
        short: what the field shows for a name; the name itself by default.
    """

    value = param.List(default=[], item_type=str, doc="Names of what is chosen, in the order of the list.")

    def __init__(
        self,
        label: str,
        noun: str,
        value: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
        *,
        nothing: str = "",
        description: str = "",
        short: Callable[[str], str] = str,
    ) -> None:
        super().__init__(value=list(value))
        self._noun, self._short, self._nothing = noun, short, nothing
        self._filling = False
        self._choice = pmui.MultiChoice(
            label=label,
            description=description,
            searchable=True,
            filter_on_search=True,
            chip=False,
            dropdown_height=420,
            sizing_mode="stretch_width",
            sx=_ONE_LINE,
            stylesheets=[_LABEL],
        )
        self.offer(options or {})
        self._choice.param.watch(lambda event: self._take(event.new), "value")
        self.param.watch(lambda _: self._show(), "value")

    def offer(self, options: Mapping[str, str]) -> None:
        """Offer other things; what is chosen stays so."""
        self._options = dict(options)
        self._show()

    @property
    def offered(self) -> list[str]:
        """Names of what is offered, in order."""
        return list(self._options.values())

    def _take(self, chosen: Sequence[str]) -> None:
        if not self._filling:
            order = [*self.offered, *self.value]
            self.value = sorted(chosen, key=order.index)

    def _show(self) -> None:
        offered = self._options.values()
        others = {name: name for name in self.value if name not in offered}
        self._filling = True
        self._choice.param.update(
            options={**self._options, **others},
            value=list(self.value),
            value_label=summary([self._short(name) for name in self.value], self._noun),
            helper_text="" if self.value else self._nothing,
        )
        self._filling = False

    def __panel__(self) -> Viewable:
        return self._choice


def summary(names: Sequence[str], noun: str) -> str:
    """Return names in one line: the first ones, or how many there are.

    Args:
        names: of what is chosen.
        noun: what they are, in the plural.
    """
    if len(names) <= SHOWN:
        return ", ".join(shorten(name, 40) for name in names)
    return f"{len(names):,} {noun}: {', '.join(shorten(name, 24) for name in names[:SHOWN])}, …"


_ONE_LINE = {
    "& .MuiSelect-select": {
        "overflow": "hidden",
        "textOverflow": "ellipsis",
        "whiteSpace": "nowrap",
        "paddingTop": "6px",
        "paddingBottom": "6px",
    }
}
"""As high as the other fields of a form."""
_LABEL = (
    ".MuiInputLabel-root:not(.MuiInputLabel-shrink) { transform: translate(14px, 6px) scale(1) !important; }"
)
"""An empty field has its label where the text will be; the field's own style does not reach it."""
