"""BokehJS in the page: JupyterLab's extension for Bokeh needs it there, and it must not come from the internet."""

from __future__ import annotations

import base64
import gzip
import uuid
import weakref
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.markup import element, join
from moma_app.plots.page import bokeh_library
from moma_app.widgets.toolkit import ipywidgets

if TYPE_CHECKING:
    from moma_app.widgets.figure import FigureBox

SCRIPT = Path(__file__).with_name("bokehjs.js")


class Library:
    """Carries BokehJS into every page that shows a widget; knows when it has arrived.

    Figures wait for that: a page without it would show an error in their place. Where there is no page, as when
    a notebook is executed by a program, they wait for ever, and cost nothing.

    Attributes:
        button: is clicked by the page when Bokeh is there.
        view: to be put into each widget; takes no place.
        ready: a page has Bokeh.
    """

    def __init__(self) -> None:
        self.ready = False
        self._figures: weakref.WeakSet[FigureBox] = weakref.WeakSet()
        self.button = ipywidgets.Button()
        self.button.on_click(lambda _: self._arrived())
        packed = base64.b64encode(gzip.compress(bokeh_library().encode(), 9, mtime=0)).decode()
        code = SCRIPT.read_text(encoding="utf-8")
        carrier = ipywidgets.HTML(
            str(
                join(
                    [
                        element("span", packed, data_library=uuid.uuid4().hex),
                        element("img", src="data:,", onerror=code),
                    ]
                )
            )
        )
        self.view = ipywidgets.VBox([carrier, self.button], layout=ipywidgets.Layout(display="none"))
        self.view.add_class("moma-library")

    def follow(self, figure: FigureBox) -> None:
        """Draw a figure when Bokeh has arrived, and anew when the page was loaded again."""
        self._figures.add(figure)

    def _arrived(self) -> None:
        self.ready = True
        for figure in list(self._figures):
            figure.redraw()


@cache
def library() -> Library:
    """Return the one of this kernel."""
    return Library()
