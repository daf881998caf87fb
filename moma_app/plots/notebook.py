"""Figures in a notebook, also where there is no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moma_app.plots.drawing import holoviews

if TYPE_CHECKING:
    from bokeh.model import Model


def show_in_notebook() -> None:
    """Let this notebook show figures of HoloViews and parts of Panel; call it once, after a cell's imports.

    Their scripts and styles are put into the page. By default a notebook gets them from the internet, and shows
    nothing where there is none.
    """
    import panel as pn
    from panel.viewable import Viewable

    hv = holoviews()
    pn.config.inline = True
    hooks = Viewable._preprocessing_hooks  # noqa: SLF001 - no other way leads into the figures of HoloViews
    if _put_styles_in not in hooks:
        hooks.append(_put_styles_in)
    hv.extension("bokeh", logo=False, inline=True)


def _put_styles_in(_: Any, root: Model) -> None:
    """Replace links to Panel's style sheets by their content, which HoloViews does not do by itself."""
    from bokeh.models import UIElement
    from panel.io.notebook import patch_inline_stylesheets

    for part in root.select({"type": UIElement}):
        patch_inline_stylesheets(part)
