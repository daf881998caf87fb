"""What a reader points at: from a tap on a figure to the row, or to the task and module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moma_app.plots.drawing import holoviews
from moma_app.plots.insight_order import Order, cell_at
from moma_app.plots.insight_values import Insights


def on_point(figure: Any, act: Callable[[int, int], None]) -> None:
    """Call ``act(fit, row)`` when a point of a parity plot or kNN scatter is tapped.

    ``fit`` is the number of the series from 0, ``row`` the position among the rows that the figure was made of
    (test rows of a fit, train rows of a composition), of which not all need be drawn. Attaches a
    ``holoviews.streams.Selection1D`` to each series.

    Args:
        figure: made with ``tappable=True``; of this page only, before it is shown.
        act: runs where the page may be changed.
    """
    hv = holoviews()
    series = [element for element in figure.traverse(lambda x: x, [hv.Scatter]) if "row" in element]
    for fit, points in enumerate(series):
        rows = [int(row) for row in points.dimension_values("row")]

        def tapped(index: list[int], fit: int = fit, rows: list[int] = rows) -> None:
            if index:
                act(fit, rows[index[0]])

        hv.streams.Selection1D(source=points).add_subscriber(tapped)


def on_cell(
    figure: Any, insights: Insights, act: Callable[[str, str], None], *, order: Order = "name"
) -> None:
    """Call ``act(task, module)`` when a cell of the heat map is tapped; attaches a ``holoviews.streams.Tap``.

    Args:
        figure: of :func:`moma_app.plots.heatmap.insight_heatmap`; of this page only, before it is shown.
        insights, order: that it was made with.
        act: runs where the page may be changed.
    """

    def tapped(x: float | None, y: float | None) -> None:
        if x is not None and y is not None and (cell := cell_at(insights, x, y, order=order)) is not None:
            act(*cell)

    holoviews().streams.Tap(source=figure).add_subscriber(tapped)
