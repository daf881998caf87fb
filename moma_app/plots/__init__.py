"""Figures and reports: what is drawn (payloads), how (figures, theme), and pages made of them.

A figure is a HoloViews object on Bokeh and carries its own look, light or dark, so that it is
the same in the dashboard, in a notebook and in a report. Names are imported when they are first
used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moma_app.plots.figures import (
        confusion,
        knn_scatter,
        learning_curves,
        parity,
        proxy_bars,
        weight_bars,
    )
    from moma_app.plots.page import figure_html
    from moma_app.plots.report import write_report
    from moma_app.plots.theme import bokeh_theme

_HOMES = {
    "bokeh_theme": "theme",
    "confusion": "figures",
    "figure_html": "page",
    "knn_scatter": "figures",
    "learning_curves": "figures",
    "parity": "figures",
    "proxy_bars": "figures",
    "weight_bars": "figures",
    "write_report": "report",
}

__all__ = [
    "bokeh_theme",
    "confusion",
    "figure_html",
    "knn_scatter",
    "learning_curves",
    "parity",
    "proxy_bars",
    "weight_bars",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
