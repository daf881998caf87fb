"""A figure of ``moma_app.plots`` in a notebook: the very one of the dashboard, by Bokeh, with nothing fetched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from moma_app.plots.theme import Mode
from moma_app.widgets.library import library
from moma_app.widgets.look import Look, html
from moma_app.widgets.toolkit import BokehModel, ipywidgets


class _Shown(BokehModel):  # type: ignore[misc]
    """A Bokeh figure; closing it again, as Python does when it forgets it, is nothing."""

    def close(self) -> None:
        if self.comm is not None:
            super().close()


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
        self._figure: Any = None
        self._tapped: Callable[[float, float], None] | None = None
        super().__init__(layout=ipywidgets.Layout(width="100%", min_height=f"{height}px" if height else None))
        self.add_class("moma-figure")
        self.clear()
        library().follow(self)

    def show(self, figure: Any, tapped: Callable[[float, float], None] | None = None) -> None:
        """Draw a HoloViews object in place of what was shown, as soon as the page can.

        Args:
            figure: the object.
            tapped: is called with the data coordinates of a tap.
        """
        with self.lock:
            self._figure, self._tapped = figure, tapped
            if library().ready:
                self.redraw()
            else:
                self._say("The figure is being drawn …")

    def redraw(self) -> None:
        """Draw the figure that is shown anew."""
        from moma_app.plots.drawing import holoviews

        with self.lock:
            if self._figure is None or self.comm is None:
                return
            self._put_away()
            self._plot = holoviews().renderer("bokeh").get_plot(self._figure)
            model, tapped = self._plot.state, self._tapped
            if tapped is not None:
                model.on_event("tap", lambda event: tapped(event.x, event.y))
            self.children = (_Shown(model, layout=ipywidgets.Layout(width="100%")),)

    def clear(self, waiting: str | None = None) -> None:
        """Draw nothing; say why."""
        with self.lock:
            self._figure = None
            self._say(self._waiting if waiting is None else waiting)

    def _say(self, text: str) -> None:
        self._put_away()
        self.children = tuple(html(each, "moma-muted") for each in [text] if each)

    def close(self) -> None:
        """Take the figure from the page."""
        if self.comm is None:
            return
        with self.lock:
            self._put_away()
        super().close()

    def _put_away(self) -> None:
        for child in self.children:
            child.close()
        if self._plot is not None:
            self._plot.cleanup()
            self._plot = None
