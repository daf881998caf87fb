"""A grid of cards: as many side by side as fit; each leads to a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.session import Session

if TYPE_CHECKING:
    from moma_app.plots.card_words import CardItem


class Cards(JSComponent):
    """A grid of cards.

    Args:
        session: of the page.
        on_click: is called with the name of the card that was pressed; with a modifier key the browser
            opens the card's address instead.
    """

    items = param.List(default=[], item_type=dict, doc="The cards, see CardItem.")

    _esm = Path(__file__).with_name("cards.js")
    _stylesheets: ClassVar[list[str]] = [
        """
        :host { display: block; color: inherit; font: 13px/1.4 system-ui, sans-serif; }
        .grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); gap: 12px; }
        .card { display: flex; flex-direction: column; gap: 4px; padding: 10px 12px; box-sizing: border-box; min-width: 0;
                border: 1px solid var(--mui-palette-divider, #ccc); border-radius: 6px; color: inherit;
                text-decoration: none; overflow-wrap: anywhere; }
        a.card:hover { border-color: var(--mui-palette-primary-main, #0072b2); }
        a.card:focus-visible { outline: 2px solid var(--mui-palette-primary-main, #0072b2); outline-offset: 1px; }
        .problem { border-style: dashed; border-color: var(--mui-palette-error-main, #d32f2f); }
        .reason { color: var(--mui-palette-error-main, #d32f2f); }
        .head { display: flex; flex-wrap: wrap; gap: 2px 6px; align-items: baseline; }
        .name { font-size: 14px; }
        .badge { border: 1px solid var(--mui-palette-divider, #ccc); border-radius: 9px; padding: 0 7px; font-size: 11.5px;
                 color: var(--mui-palette-text-secondary, inherit); white-space: nowrap; }
        .subtitle { min-height: 1.4em; }
        .body { display: flex; gap: 8px; align-items: flex-end; justify-content: space-between; margin-top: auto; }
        .note { color: var(--mui-palette-text-secondary, inherit); font-size: 12px; min-height: 2.8em; overflow: hidden;
                display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; }
        dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 1px 10px; margin: 0; }
        dt { color: var(--mui-palette-text-secondary, inherit); }
        dd { margin: 0; }
        .spark { flex: none; width: 92px; height: 30px; }
        .spark polyline { fill: none; stroke: var(--mui-palette-primary-main, #0072b2); stroke-width: 1.5; }
        """
    ]

    def __init__(self, session: Session, on_click: Callable[[str], None], **options: Any) -> None:
        look = {"sizing_mode": "stretch_width", "margin": (6, 10), **options}
        super().__init__(**look)
        self._click = session.guard(on_click)

    def show(self, items: Sequence[CardItem]) -> None:
        """Show other cards."""
        self.items = list(items)

    def _handle_msg(self, data: dict[str, Any]) -> None:
        name = str(data.get("name", ""))
        if any(item["name"] == name and item["href"] for item in self.items):
            self._click(name)
