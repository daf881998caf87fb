"""The WeightMap as a kernel drives it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from jupyter_bokeh import BokehModel

from moma_app.errors import InputError, UnknownNameError
from moma_app.experiments.matrix import InsightMatrix
from moma_app.experiments.published import published_weights
from moma_app.plots.insight_values import Insights
from moma_app.widgets import WeightMap


@pytest.fixture
def results(composition):
    """Compositions of two tasks; the second's values are those of the first with another K."""
    other = composition.reweighed(k=9, temperature=1.0).result
    return [composition.result, replace(composition.result, split=1), replace(other, task="other_task")]


@pytest.fixture
def weight_map(results):
    widget = WeightMap(results)
    yield widget
    widget.close()


def test_compositions_become_a_matrix_with_means_over_splits(weight_map, results):
    assert weight_map.insights.tasks == ["elemental_bulk_modulus", "other_task"]
    for row, result in zip(weight_map.insights.values, [results[0], results[2]], strict=True):
        assert dict(zip(weight_map.insights.modules, row, strict=True)) == pytest.approx(result.weights)
    assert weight_map.insights.splits[0][0] == 2
    weight_map.view.value = "Proxy errors"
    assert weight_map.insights.kind == "proxy error"


def test_a_cell_is_chosen_by_click_and_by_name(weight_map):
    heard = []
    weight_map.on_select(heard.append)
    assert weight_map.selected is None
    modules = sorted(weight_map.insights.modules)
    tap(weight_map, 1.2, -0.8)
    assert weight_map.selected == (modules[1], "other_task")
    weight_map.select(modules[0], "elemental_bulk_modulus")
    weight_map.module.value = modules[2]
    assert weight_map.selected == (modules[2], "elemental_bulk_modulus")
    assert heard == [
        (modules[1], "other_task"),
        (modules[0], "elemental_bulk_modulus"),
        (modules[2], "elemental_bulk_modulus"),
    ]
    assert "mean over 2 splits" in weight_map._story.value
    tap(weight_map, 40.0, -0.8)
    assert len(heard) == 3, "beside the cells there is nothing to choose"
    with pytest.raises(UnknownNameError):
        weight_map.select("no_such_module", "other_task")


def tap(weight_map, x: float, y: float) -> None:
    """Click on the figure, as the browser tells it to the kernel."""
    (shown,) = weight_map._figure.children
    values = {"model": shown._model, "x": x, "y": y}
    event = {"type": "event", "name": "tap", "values": {"type": "map", "entries": list(values.items())}}
    content = {"event": "jsevent", "kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}
    content["msg_data"]["values"]["entries"] = [
        ["model", {"id": shown._model.id}],
        ["x", x],
        ["y", y],
        ["sx", 0],
        ["sy", 0],
        ["modifiers", {"type": "map", "entries": []}],
    ]
    shown._sync_model(shown, content, [])


@pytest.mark.parametrize("order", ["name", "cluster", "family"])
def test_each_order_is_drawn(weight_map, order):
    weight_map.order.value = order
    assert weight_map.error is None
    assert isinstance(weight_map._figure.children[0], BokehModel)


def test_it_takes_a_matrix_the_values_of_a_map_and_one_result(results):
    for of in (InsightMatrix.of(results), results[0], Insights(["a", "b"], ["t"], [[0.2, 0.8]])):
        shown = WeightMap(of)
        module, task = shown.insights.modules[0], shown.insights.tasks[0]
        shown.select(module, task)
        assert shown.error is None
        assert module in shown._story.value
        shown.close()


def test_nothing_to_show_is_an_error():
    with pytest.raises(InputError, match="no composition"):
        WeightMap([])


def test_it_shows_the_published_weights(shared, monkeypatch):
    monkeypatch.setenv("MOMA_DATA", str(shared / "data"))
    shown = WeightMap(published_weights())
    shown.select(
        "mp_eform", "expt_bandgap" if "expt_bandgap" in shown.insights.tasks else shown.insights.tasks[0]
    )
    assert "all trained from the backbone JMP" in shown._story.value
    shown.close()


def test_where_nothing_runs_there_is_a_picture(weight_map):
    weight_map.select("mp_kvrh", "other_task")
    page = weight_map._repr_mimebundle_()["text/html"]
    assert "data:image/svg+xml;base64," in page
    assert "mp_kvrh for other_task" in page
    assert "<script" not in page
