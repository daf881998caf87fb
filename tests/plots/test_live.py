"""Figures of running work take new data without being made anew."""

from __future__ import annotations

import logging

import pytest
from bokeh.models import GlyphRenderer
from bokeh.models import Plot as BokehPlot

from moma_app.plots import bar_values
from moma_app.plots.epochs import epoch_columns
from moma_app.plots.live import Encoded, live_bars, live_curves
from moma_app.plots.theme import MODES
from moma_app.progress import EpochEnded


@pytest.fixture(autouse=True)
def no_complaints(caplog):
    """HoloViews only logs when a hook fails."""
    caplog.set_level(logging.WARNING)
    yield
    assert not [record.getMessage() for record in caplog.records]


def epoch(number, val=0.5, rate=1e-3):
    return EpochEnded(
        epoch=number,
        epochs=20,
        train_error=0.4,
        val_error=val,
        learning_rate=rate,
        seconds=2.0,
        structures_per_second=50.0,
    )


def shown(figure):
    """Draw once; later sends change this model, as on a page."""
    import holoviews as hv
    import holoviews.plotting.bokeh

    return hv.renderer("bokeh").get_plot(figure).state


def plots(model):
    return sorted(model.select({"type": BokehPlot}), key=lambda plot: plot.xaxis[0].axis_label or "")


def test_epochs_done_twice_count_once():
    columns = epoch_columns([epoch(1), epoch(2, 0.9), epoch(3), epoch(2, 0.7)])
    assert columns["epoch"] == [1, 2, 3]
    assert columns["val_error"] == [0.5, 0.7, 0.5]
    assert epoch_columns([])["learning_rate"] == []


@pytest.mark.parametrize("mode", MODES)
def test_live_curves_change_their_data_only(mode):
    live = live_curves(epochs=20, unit="eV", mode=mode)
    model = shown(live.figure)
    errors, rates = plots(model)
    before = {m.id for m in model.references() if isinstance(m, BokehPlot | GlyphRenderer)}
    axes = (errors.x_range.start, errors.x_range.end, errors.yaxis[0].axis_label, errors.height)
    assert axes == (0.5, 20.5, "MAE (eV)", 280)
    live.send([epoch(i, 1.0 / i, 1e-3 / i) for i in range(1, 8)])
    assert {m.id for m in model.references() if isinstance(m, BokehPlot | GlyphRenderer)} == before
    assert (errors.x_range.start, errors.x_range.end, errors.yaxis[0].axis_label, errors.height) == axes
    lines = [r.data_source.data for r in errors.renderers if "text" in r.data_source.data]
    assert [len(line["epoch"]) for line in lines] == [7, 7]
    assert errors.y_range.start < 1 / 7 < 1 < errors.y_range.end
    assert rates.y_range.end == pytest.approx(1.1e-3)
    ring = next(r.data_source.data for r in errors.renderers if "text" not in r.data_source.data)
    assert list(ring["epoch"]) == [7]


def test_live_curves_bear_what_a_diverging_fit_sends():
    live = live_curves(epochs=5, unit="", classes=True)
    errors, _ = plots(shown(live.figure))
    live.send([epoch(1, float("nan"), 0.0), epoch(2, 0.0), epoch(9, float("inf"))])
    assert errors.yaxis[0].axis_label == "Log loss"
    assert errors.x_range.end == 9.5


@pytest.mark.parametrize("mode", MODES)
def test_live_bars_keep_their_place(mode):
    names = [f"module_{i}" for i in range(18)]
    live = live_bars(names, unit="eV", mode=mode)
    weights, errors = plots(shown(live.figure))
    frame = (errors.height, errors.y_range.start, errors.min_border_left)
    assert "0 of 18 modules encoded" in errors.xaxis[0].axis_label
    live.send(Encoded({"module_3": 0.5, "module_1": 0.2}))
    assert list(errors.yaxis[0].major_label_overrides.values()) == ["module_1", "module_3"]
    assert "2 of 18 modules encoded" in errors.xaxis[0].axis_label
    assert "known when all" in weights.xaxis[0].axis_label
    live.send(Encoded({name: 0.1 * i for i, name in enumerate(names)}, {"module_2": 0.25, "module_4": 0.75}))
    assert errors.x_range.end == pytest.approx(1.22 * 2)
    assert weights.x_range.end == pytest.approx(1.22 * 0.75)
    assert "grey: weight 0" in errors.xaxis[0].axis_label
    assert (errors.height, errors.y_range.start, errors.min_border_left) == frame
    assert errors.height == weights.height


def test_growing_values_sort_and_say_what_is_hidden():
    errors = {"b": 0.2, "a": 0.2, "c": 0.1, "d": float("nan")}
    data = bar_values.growing_values(errors, total=10, unit="eV", predicts={"a": "band gap (eV)"})
    assert [bar.module for bar in data.bars] == ["c", "a", "b", "d"]
    assert data.bars[1].predicts == "band gap (eV)"
    assert {bar.weight for bar in data.bars} == {None}
    assert (data.n_waiting, data.note) == (6, "")
    data = bar_values.growing_values(errors, total=4, unit="eV", weights={"b": 0.4, "c": 0.6}, top=2)
    assert [bar.weight for bar in data.bars] == [0.6, 0.0]
    assert data.note == "2 more modules with higher errors not shown, 1 of them with weight (0.4 in all)"
