"""Every figure becomes a Bokeh model that Bokeh itself finds nothing wrong with."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from bokeh.core.validation import check_integrity, process_validation_issues
from bokeh.model import Model
from bokeh.models import Axis, GlyphRenderer, HoverTool, Legend, LogScale, Title, Toolbar
from bokeh.models import Plot as BokehPlot

from moma_app.plots import figures, theme
from moma_app.plots.page import bokeh_model

EVIL = "<script>alert(1)</script>$$x$$@id{safe}"


@pytest.fixture(autouse=True)
def no_complaints(caplog):
    """HoloViews only logs when a hook fails, and Bokeh when a column is missing."""
    caplog.set_level(logging.WARNING)
    yield
    assert not [record.getMessage() for record in caplog.records]


def draw(figure):
    model = bokeh_model(figure)
    assert isinstance(model, Model)
    process_validation_issues(check_integrity(model.references()))
    return model


def of(model, kind):
    return list(model.select({"type": kind}))


@pytest.mark.parametrize(("n", "mode"), [(1, "light"), (4, "dark"), (40, "dark"), (400, "light")])
def test_bar_charts(result_of, n, mode):
    result = result_of(n, min(n, 3))
    model = draw(figures.weight_bars(result, mode=mode))
    weights, errors = sorted(of(model, BokehPlot), key=lambda plot: plot.xaxis[0].axis_label)
    rows = min(n, 30)
    assert len(weights.yaxis[0].ticker.ticks) == rows
    assert weights.height == errors.height
    assert weights.y_range.start == errors.y_range.start
    assert "log10(GPa)" in errors.xaxis[0].axis_label
    assert ("370 more modules" in weights.xaxis[0].axis_label) == (n == 400)
    assert weights.background_fill_color == theme.COLORS[mode].surface
    bars = draw(figures.proxy_bars(result, mode=mode))
    assert len(bars.yaxis[0].ticker.ticks) == rows
    assert bars.x_range.start == 0


def test_top_is_a_choice(result_of):
    model = draw(figures.weight_bars(result_of(40), top=5))
    assert any("35 more modules" in plot.xaxis[0].axis_label for plot in of(model, BokehPlot))


def test_learning_curves(fits, fit_of):
    model = draw(figures.learning_curves(fits))
    assert [item.label.value for item in model.legend[0].items] == ["composed module", "bare backbone"]
    assert model.xaxis[0].axis_label == "Epoch"
    assert model.yaxis[0].axis_label == "MAE [log10(GPa)]"
    assert isinstance(model.y_scale, LogScale)
    assert model.sizing_mode == "stretch_width"
    many = draw(figures.learning_curves([fit_of(seed=i) for i in range(12)]))
    assert len(of(many, Legend)[0].items) == 12


def test_parity(fits, fit_of):
    model = draw(figures.parity(fits))
    assert "MAE 0.0593 log10(GPa)" in of(model, Legend)[0].items[0].label.value
    assert model.x_range.start == model.y_range.start
    assert model.x_range.end == model.y_range.end
    assert model.xaxis[0].axis_label.startswith("True bulk modulus [log10(GPa)]")
    assert model.yaxis[0].axis_label == "Predicted bulk modulus [log10(GPa)]"
    single = draw(figures.parity([fit_of(std=True)], limits=(0, 4)))
    assert single.title.text == "composed module: MAE 0.0593 log10(GPa)"
    assert "±1 standard deviation" in single.xaxis[0].axis_label
    assert (single.x_range.start, single.x_range.end) == (0, 4)


@pytest.mark.parametrize("mode", theme.MODES)
def test_fits_keep_their_colour_over_panels(fit_of, mode):
    model = draw(figures.parity([fit_of()], first=1, mode=mode))
    colors = {r.glyph.fill_color for r in of(model, GlyphRenderer) if hasattr(r.glyph, "fill_color")}
    assert theme.series_color(1, mode) in colors


def test_knn_scatter(result):
    model = draw(figures.knn_scatter(result, "mp_gvrh"))
    assert model.title.text.startswith("mp_gvrh: proxy MAE")
    points = next(r for r in of(model, GlyphRenderer) if "id" in r.data_source.data)
    assert list(points.data_source.data["id"]) == result.train_ids


def test_confusion(classification_of):
    model = draw(figures.parity([classification_of()]))
    assert model.title.text == "composed module: accuracy 85.0 %"
    assert len(of(draw(figures.confusion([classification_of(), classification_of("b")])), BokehPlot)) == 2


def evil(result_of, fit_of):
    result = result_of(2)
    modules = [
        replace(score, module=EVIL + str(i), property=EVIL, unit=EVIL)
        for i, score in enumerate(result.modules)
    ]
    result = replace(
        result, modules=modules, property=EVIL, unit=EVIL, train_ids=[EVIL] * len(result.train_ids)
    )
    fit = fit_of(EVIL, std=True)
    return result, replace(fit, property=EVIL, unit=EVIL, ids=[EVIL] * len(fit.ids))


def test_text_from_users_never_gets_into_a_hover_template_or_tex(result_of, fit_of):
    result, fit = evil(result_of, fit_of)
    for figure in (
        figures.weight_bars(result),
        figures.proxy_bars(result),
        figures.learning_curves([fit, fit]),
        figures.parity([fit, fit]),
        figures.parity([fit]),
        figures.knn_scatter(result, EVIL + "0"),
    ):
        model = draw(figure)
        tips = [tip for tool in of(model, HoverTool) for tip in tool.tooltips]
        assert tips
        for name, template in tips:
            assert "<" not in name + template
            assert template.startswith("@")
            assert template[1:].replace("_", "").isalpha()
        shown = [axis.axis_label or "" for axis in of(model, Axis)]
        shown += [title.text for title in of(model, Title)]
        shown += [item.label.value for legend in of(model, Legend) for item in legend.items]
        shown += [str(label) for axis in of(model, Axis) for label in axis.major_label_overrides.values()]
        assert any("script" in text for text in shown)
        assert not any("$$" in text for text in shown)


def test_any_label_is_drawn(fit_of):
    labels = ["", "😀", "123", "_", "class", "x" * 300, "Å–λ", " ", "\n", "{}", "{x}"]
    model = draw(figures.learning_curves([fit_of(label) for label in labels]))
    assert len(of(model, Legend)[0].items) == len(labels)
    draw(figures.parity([fit_of(label) for label in labels]))
    assert "{x}" in draw(figures.parity([fit_of("{x}")])).title.text


def test_toolbars_carry_no_logo(fits):
    assert all(bar.logo is None and bar.autohide for bar in of(draw(figures.parity(fits)), Toolbar))


def test_theme_has_both_modes():
    for mode in theme.MODES:
        attributes = theme.bokeh_theme(mode)._json["attrs"]
        assert attributes["Plot"]["background_fill_color"] == theme.COLORS[mode].surface
        assert theme.COLORS[mode].surface in theme.css_variables(mode)
    assert theme.series_color(7, "light") == theme.series_color(0, "light")
