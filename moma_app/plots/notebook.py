"""Figures in a notebook, also where there is no network."""

from __future__ import annotations

from moma_app.plots.drawing import holoviews


def show_in_notebook() -> None:
    """Let this notebook show figures of HoloViews and parts of Panel; call it once, at the end of a cell's imports.

    Their scripts and styles are put into the page. By default a notebook gets them from the internet, and shows
    nothing where there is none.
    """
    import panel as pn

    hv = holoviews()
    pn.config.inline = True
    hv.extension("bokeh", logo=False, inline=True)
