"""A dataset looked at: targets, elements, cell sizes, a few structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.components.layout import columns
from dashboards.parts.dataset_card import DatasetCard
from dashboards.session import Session

if TYPE_CHECKING:
    from moma_app.tasks.overview import TaskOverview


class LookPart(Viewer):
    """Distributions of the chosen dataset."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._asked = ("", 0)
        self._card = DatasetCard(session)
        self._elements = Figure(session, height=320)
        self._sizes = Figure(session, height=280)
        self._view = pn.Column(
            self._card,
            columns(self._elements, self._sizes, widths=[8, 4]),
            sizing_mode="stretch_width",
            margin=0,
        )

    def show(self, name: str, split: int) -> None:
        """Show a task with one of its splits."""
        asked = self._asked = (name, split)
        self._card.show(name, split)
        if not name:
            return

        def read() -> TaskOverview:
            from moma_app.tasks.overview import get_overview

            return get_overview(name, split)

        def draw(overview: TaskOverview) -> None:
            if asked == self._asked:
                self._draw(overview)

        self._session.background(read, draw, failed=lambda _: self._clear())

    def _draw(self, overview: TaskOverview) -> None:
        from moma_app.plots import periodic_table, sizes_histogram

        elements = {symbol: float(count) for symbol, count in overview.elements.items()}
        sizes = overview.n_atoms.tolist()
        self._elements.show(
            lambda mode: periodic_table(elements, "Structures with the element", "", mode=mode)
        )
        self._sizes.show(lambda mode: sizes_histogram(sizes, mode=mode))

    def _clear(self) -> None:
        self._elements.clear()
        self._sizes.clear()

    def __panel__(self) -> Viewable:
        return self._view
