"""Every figure once, as a HoloViews object on Bokeh.

All take ``mode``, ``"light"`` or ``"dark"``, fill the width they are given, show ids on hover and
units on every axis. Text from users is shown literally.
"""

from __future__ import annotations

from moma_app.plots.bars import proxy_bars, weight_bars
from moma_app.plots.curves import learning_curves
from moma_app.plots.scatter import confusion, knn_scatter, parity

__all__ = ["confusion", "knn_scatter", "learning_curves", "parity", "proxy_bars", "weight_bars"]
