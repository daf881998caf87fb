"""From a tap on a figure to the row, or the task and module, that it means."""

from __future__ import annotations

from dataclasses import replace

import holoviews as hv
import pytest

from moma_app.plots import figures
from moma_app.plots.insight_values import Insights
from moma_app.plots.page import bokeh_model
from moma_app.plots.taps import on_cell, on_point


def streams(figure, kind):
    found = [s for source in figure.traverse(lambda x: x) for s in hv.streams.Stream.registry.get(source, [])]
    return [stream for stream in found if isinstance(stream, kind)]


def test_a_point_is_a_row_although_ids_repeat(fit_of):
    fits = [fit_of(n=12), fit_of("bare backbone", "backbone", n=12)]
    fits = [replace(fit, ids=["same"] * 12) for fit in fits]
    figure = figures.parity(fits, formulas={"same": "NaCl"}, tappable=True)
    tapped = []
    on_point(figure, lambda fit, row: tapped.append((fit, row)))
    for stream in streams(figure, hv.streams.Selection1D):
        stream.event(index=[5])
        stream.event(index=[])
    assert tapped == [(0, 5), (1, 5)]


def test_a_point_of_a_sample_is_the_row_of_the_whole(result_of):
    result = result_of(2, 2, 500)
    figure = figures.knn_scatter(result, "mp_gvrh", most=40, tappable=True)
    tapped = []
    on_point(figure, lambda _, row: tapped.append(row))
    (stream,) = streams(figure, hv.streams.Selection1D)
    points = stream.source
    stream.event(index=[7])
    assert result.train_targets[tapped[0]] == points.dimension_values("true")[7]
    assert result.modules[1].predictions[tapped[0]] == points.dimension_values("predicted")[7]


def test_only_a_tappable_figure_has_the_tool(result):
    from bokeh.models import TapTool

    for tappable in (False, True):
        model = bokeh_model(figures.knn_scatter(result, "mp_gvrh", tappable=tappable))
        assert bool(list(model.select({"type": TapTool}))) == tappable


@pytest.mark.parametrize("order", ["name", "family"])
def test_a_cell_is_a_task_and_a_module(order):
    insights = Insights(
        ["b", "a"], ["t", "u"], [[0.2, 0.8], [0.5, 0.5]], families={"a": "z", "b": "y", "t": "z", "u": "y"}
    )
    figure = figures.insight_heatmap(insights, order=order)
    tapped = []
    on_cell(figure, insights, lambda task, module: tapped.append((task, module)), order=order)
    (stream,) = streams(figure, hv.streams.Tap)
    for x, y in ((0.3, 0.2), (1.4, -1.4), (1.6, 0), (0, -1.6)):
        stream.event(x=x, y=y)
    assert tapped == ([("t", "a"), ("u", "b")] if order == "name" else [("u", "b"), ("t", "a")])
