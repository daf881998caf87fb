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
        comparison_bars,
        confusion,
        continual_scatter,
        error_against_shots,
        error_by_size,
        growing_bars,
        insight_heatmap,
        knn_scatter,
        learning_curves,
        parity,
        periodic_table,
        proxy_bars,
        radar,
        sizes_histogram,
        target_histogram,
        weight_bars,
    )
    from moma_app.plots.heatmap_export import to_csv, to_png, to_svg
    from moma_app.plots.live import live_bars, live_curves
    from moma_app.plots.notebook import show_in_notebook
    from moma_app.plots.page import figure_html
    from moma_app.plots.report import write_report
    from moma_app.plots.taps import on_cell, on_point
    from moma_app.plots.theme import bokeh_theme

_HOMES = {
    "bokeh_theme": "theme",
    "comparison_bars": "figures",
    "confusion": "figures",
    "continual_scatter": "figures",
    "error_against_shots": "figures",
    "error_by_size": "figures",
    "figure_html": "page",
    "growing_bars": "figures",
    "insight_heatmap": "figures",
    "knn_scatter": "figures",
    "learning_curves": "figures",
    "live_bars": "live",
    "live_curves": "live",
    "on_cell": "taps",
    "on_point": "taps",
    "parity": "figures",
    "periodic_table": "figures",
    "proxy_bars": "figures",
    "radar": "figures",
    "show_in_notebook": "notebook",
    "sizes_histogram": "figures",
    "target_histogram": "figures",
    "to_csv": "heatmap_export",
    "to_png": "heatmap_export",
    "to_svg": "heatmap_export",
    "weight_bars": "figures",
    "write_report": "report",
}

__all__ = [
    "bokeh_theme",
    "comparison_bars",
    "confusion",
    "continual_scatter",
    "error_against_shots",
    "error_by_size",
    "figure_html",
    "growing_bars",
    "insight_heatmap",
    "knn_scatter",
    "learning_curves",
    "live_bars",
    "live_curves",
    "on_cell",
    "on_point",
    "parity",
    "periodic_table",
    "proxy_bars",
    "radar",
    "show_in_notebook",
    "sizes_histogram",
    "target_histogram",
    "to_csv",
    "to_png",
    "to_svg",
    "weight_bars",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
