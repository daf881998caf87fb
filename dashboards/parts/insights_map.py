"""The heat map of modules and tasks, and the same as files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.download import download
from dashboards.components.figure import Figure
from dashboards.components.layout import muted, row
from dashboards.parts.insights_state import InsightsState
from dashboards.session import Mode, Session
from moma_app.errors import InputError

if TYPE_CHECKING:
    from moma_app.plots.insight_order import Order
    from moma_app.plots.insight_values import Insights

_AS_WIDE_AS_ITS_CELLS = {"flex": "1 1 min-content", "max-width": "100%"}
"""What stands beside a map goes below it where the map needs the width; then the map scrolls sideways."""
HEIGHT, ROW, MANY = 200, 22, 40
"""Pixels that are kept free for a map and for each of its rows, up to so many."""


class InsightsMap(Viewer):
    """Draws a matrix in the order that the page's state says; tells which cell was clicked.

    Args:
        session: of the page.
        state: of the page; its order is followed.
        on_cell: is called in the page with task and module of a cell that was clicked.
    """

    def __init__(self, session: Session, state: InsightsState, on_cell: Callable[[str, str], None]) -> None:
        super().__init__()
        self._session, self._state, self._on_cell = session, state, on_cell
        self._shown: Insights | None = None
        self._figure = Figure(session, height=HEIGHT)
        self._frame = pn.Column(
            self._figure, sizing_mode="stretch_width", styles={"overflow-x": "auto"}, margin=0
        )
        self._files = {kind: self._file(kind) for kind in ("PNG", "SVG", "CSV")}
        self._tools = pn.Column(
            muted("Point at a cell for its value, rank and spread; click it for its story."),
            row(*self._files.values()),
            sizing_mode="stretch_width",
            margin=0,
            visible=False,
        )
        self._instead = pn.Column(sizing_mode="stretch_width", margin=0)
        self._view = pn.Column(
            self._frame,
            self._instead,
            self._tools,
            margin=0,
            styles=_AS_WIDE_AS_ITS_CELLS,
        )
        state.param.watch(session.guard(lambda _: self._draw()), "order")

    def show(self, insights: Insights) -> None:
        """Draw a matrix, unless it is the one that is drawn."""
        if insights == self._shown:
            return
        self._shown = insights
        self._tools.visible = True
        self._instead.objects = []
        # About the height of the map, so that nothing jumps when it is drawn anew.
        self._frame.min_height = HEIGHT + ROW * min(len(insights.tasks), MANY)
        for kind, button in self._files.items():
            button.filename = f"insights-{self._state.view}.{kind.lower()}"
        self._draw()

    def clear(self, waiting: str, *instead: Viewable | Viewer) -> None:
        """Draw nothing; say why, or show something else in its place."""
        self._shown = None
        self._tools.visible = False
        self._figure.clear(waiting)
        self._instead.objects = list(instead)

    def _draw(self) -> None:
        insights, order = self._shown, cast("Order", self._state.order)
        if insights is None:
            return

        def draw(mode: Mode) -> Any:
            from moma_app.plots.heatmap import insight_heatmap
            from moma_app.plots.taps import on_cell

            figure = insight_heatmap(insights, order=order, mode=mode)
            on_cell(figure, insights, self._session.guard(self._on_cell), order=order)
            return figure

        self._figure.show(draw)

    def _file(self, kind: str) -> pmui.FileDownload:
        def make() -> bytes:
            from moma_app.plots.heatmap_export import to_csv, to_png, to_svg

            insights, order = self._shown, cast("Order", self._state.order)
            if insights is None:
                raise InputError("There is no map to save yet.")
            if kind == "PNG":
                return to_png(insights, order=order)
            text = to_svg(insights, order=order) if kind == "SVG" else to_csv(insights, order=order)
            return text.encode()

        return download(self._session, kind, f"insights.{kind.lower()}", make, margin=(2, 4))

    def __panel__(self) -> Viewable:
        return self._view
