"""A figure of ``moma_app.plots`` on a page: light or dark as the page is, in a place that does not jump."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import empty
from dashboards.session import Mode, Session

Draw = Callable[[Mode], Any]
"""Makes a HoloViews object for light or dark; attaches what listens to taps on it."""


_SCROLLS_SIDEWAYS = {"overflow-x": "auto", "overflow-y": "hidden", "max-width": "100%"}
"""Where a page is narrower than its figures can be, each scrolls by itself."""


class Figure(Viewer):
    """Keeps the place of a figure, draws it, and draws it anew when the page's theme changes.

    Args:
        session: of the page.
        height: pixels that are kept free.
        waiting: shown while there is nothing to draw.
    """

    def __init__(self, session: Session, *, height: int = 320, waiting: str = "") -> None:
        super().__init__()
        self._session = session
        self._waiting = waiting
        self._draw: Draw | None = None
        self._place = pn.Column(
            sizing_mode="stretch_width", min_height=height, margin=0, styles=_SCROLLS_SIDEWAYS
        )
        self.clear()
        session.param.watch(lambda _: self._redraw(), "mode")

    def show(self, draw: Draw) -> None:
        """Draw a figure in place of the one before."""
        self._draw = draw
        self._redraw()

    def clear(self, waiting: str | None = None) -> None:
        """Draw nothing; say why."""
        self._draw = None
        text = self._waiting if waiting is None else waiting
        self._place.objects = [empty(text)] if text else []

    def _redraw(self) -> None:
        if self._draw is None:
            return
        drawn = self._draw(self._session.mode)
        self._place.objects = [
            pn.pane.HoloViews(
                drawn, sizing_mode="stretch_width", linked_axes=False, theme=None, margin=(4, 16, 4, 4)
            )
        ]

    def __panel__(self) -> Viewable:
        return self._place
