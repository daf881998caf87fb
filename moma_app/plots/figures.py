"""Every figure once, as a HoloViews object on Bokeh.

All take ``mode``, ``"light"`` or ``"dark"``, fill the width they are given, show ids on hover and
units on every axis. Text from users is shown literally.
"""

from __future__ import annotations

from moma_app.plots.bars import growing_bars, proxy_bars, weight_bars
from moma_app.plots.confusion_matrix import confusion
from moma_app.plots.continual import continual_scatter
from moma_app.plots.curves import learning_curves
from moma_app.plots.heatmap import insight_heatmap
from moma_app.plots.histograms import sizes_histogram, target_histogram
from moma_app.plots.periodic import periodic_table
from moma_app.plots.radar_chart import radar
from moma_app.plots.scatter import knn_scatter, parity
from moma_app.plots.shots import error_against_shots
from moma_app.plots.sizes import error_by_size
from moma_app.plots.starts import comparison_bars

__all__ = [
    "comparison_bars",
    "confusion",
    "continual_scatter",
    "error_against_shots",
    "error_by_size",
    "growing_bars",
    "insight_heatmap",
    "knn_scatter",
    "learning_curves",
    "parity",
    "periodic_table",
    "proxy_bars",
    "radar",
    "sizes_histogram",
    "target_histogram",
    "weight_bars",
]
