"""A figure of ``moma_app.plots`` in a notebook: the very one of the dashboard, by Bokeh, with nothing fetched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from moma_app.plots.theme import Mode
from moma_app.widgets.look import Look, html
from moma_app.widgets.toolkit import BokehModel, ipywidgets


class FigureBox(ipywidgets.Box):  # type: ignore[misc]
    """Keeps the place of a figure and shows it; live figures take new data in place.

    Args:
        look: of the widget that it belongs to.
        waiting: shown while there is nothing to draw.
        height: pixels that are kept free.
    """

    def __init__(self, look: Look = "auto", *, waiting: str = "", height: int = 0) -> None:
        self.mode: Mode = "dark" if look == "dark" else "light"
        self.lock = threading.RLock()
        """Held while the figure changes: work in the background and the notebook both change it."""
        self._waiting = waiting
        self._plot: Any = None
        super().__init__(layout=ipywidgets.Layout(width="100%", min_height=f"{height}px" if height else None))
        self.add_class("moma-figure")
        self.clear()

    def show(self, figure: Any, tapped: Callable[[float, float], None] | None = None) -> None:
        """Draw a HoloViews object in place of what was shown.

        Args:
            figure: the object.
            tapped: is called with the data coordinates of a tap.
        """
        from moma_app.plots.drawing import holoviews

        with self.lock:
            self._put_away()
            self._plot = holoviews().renderer("bokeh").get_plot(figure)
            model = self._plot.state
            if tapped is not None:
                model.on_event("tap", lambda event: tapped(event.x, event.y))
            shown = BokehModel(model, layout=ipywidgets.Layout(width="100%"))
            self.children = (shown,)

    def clear(self, waiting: str | None = None) -> None:
        """Draw nothing; say why."""
        with self.lock:
            self._put_away()
            text = self._waiting if waiting is None else waiting
            self.children = (html(text, "moma-muted"),) if text else ()

    def close(self) -> None:
        """Take the figure from the page."""
        with self.lock:
            self._put_away()
        super().close()

    def _put_away(self) -> None:
        for child in self.children:
            child.close()
        if self._plot is not None:
            self._plot.cleanup()
            self._plot = None
