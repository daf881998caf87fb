"""The figures of datasets, experiments and insights become Bokeh models that Bokeh finds nothing wrong with."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from bokeh.core.validation import check_integrity, process_validation_issues
from bokeh.models import Axis, ColorBar, GlyphRenderer, HoverTool, Legend, Title
from bokeh.models import Plot as BokehPlot

from moma_app.errors import InputError
from moma_app.experiments.statistics import fit_line
from moma_app.plots import figures
from moma_app.plots.analysis_values import TestedRow as Row  # no test class
from moma_app.plots.continual import HubChange
from moma_app.plots.insight_values import Insights
from moma_app.plots.page import bokeh_model
from moma_app.plots.radar_values import MethodErrors
from moma_app.plots.shots import ShotErrors
from moma_app.plots.starts import StartErrors

EVIL = "<script>alert(1)</script>$$x$$@id{safe}"


@pytest.fixture(autouse=True)
def no_complaints(caplog):
    """HoloViews only logs when a hook fails, and Bokeh when a column is missing."""
    caplog.set_level(logging.WARNING)
    yield
    assert not [record.getMessage() for record in caplog.records]


def draw(figure):
    model = bokeh_model(figure)
    process_validation_issues(check_integrity(model.references()))
    return model


def of(model, kind):
    return list(model.select({"type": kind}))


def insights(n_tasks, n_modules, kind="weight", name="n"):
    rng = np.random.default_rng(n_modules)
    values = rng.dirichlet(np.full(n_modules, 0.2), n_tasks)
    values[values < 0.01] = 0
    values[0, 0] = np.nan
    modules = [f"{name}_module_{i}" for i in range(n_modules)]
    tasks = [f"{name}_task_{i}" for i in range(n_tasks)]
    return Insights(
        modules,
        tasks,
        (values + (kind == "proxy error")).tolist(),
        kind,
        families={m: f"{name}{i % 3}" for i, m in enumerate(modules + tasks)},
        properties=dict.fromkeys(modules + tasks, name),
        units=dict.fromkeys(modules + tasks, name),
    )


def changes(n, name="task"):
    rng = np.random.default_rng(0)
    return [
        HubChange(f"{name}{i}", d, 0.7 * d + rng.normal(), 1.0, None, 5)
        for i, d in enumerate(rng.normal(5, 4, n))
    ]


def line(points):
    return fit_line([p.proxy_decrease for p in points], [p.mae_decrease for p in points])


def methods(n_tasks, name="m"):
    rng = np.random.default_rng(n_tasks)
    return [
        MethodErrors(
            f"{name}{k}",
            {f"{name} task_{i}": float(rng.uniform(1, 2)) for i in range(n_tasks) if k != 2 or i},
            {f"{name} task_{i}": 0.1 for i in range(n_tasks)} if k else {},
        )
        for k in range(4)
    ]


def shots(name="MoMa"):
    errors = {f"{name} {i}": 0.3 + 0.01 * i for i in range(5)}
    return [
        ShotErrors(learner, n, n or 4416.5, errors)
        for learner in (name, "bare backbone")
        for n in (10, 100, None)
    ]


def rows(n=60, name="mp"):
    rng = np.random.default_rng(n)
    return [
        Row(i, f"{name}-{i}", f"{name}Li2O", int(rng.integers(1, 90)), float(e))
        for i, e in enumerate(rng.normal(0, 0.1, n))
    ]


# ---------------------------------------------------------------------- heat map


@pytest.mark.parametrize(
    ("n_tasks", "n_modules", "kind", "order", "mode"),
    [
        (1, 1, "weight", "cluster", "light"),
        (17, 4, "proxy error", "family", "dark"),
        (3, 40, "published weight", "cluster", "dark"),
        (3, 400, "weight", "name", "light"),
    ],
)
def test_heat_maps_of_any_size(n_tasks, n_modules, kind, order, mode):
    model = draw(figures.insight_heatmap(insights(n_tasks, n_modules, kind), order=order, mode=mode))
    names = model.xaxis[-1].major_label_overrides.values()
    assert len(set(names)) == (n_modules if n_modules <= 60 else 1)
    tables = [r.data_source.data for r in of(model, GlyphRenderer)]
    assert sum(len(table["task"]) for table in tables if "task" in table) == n_tasks * n_modules
    assert "hatched: not computed" in model.xaxis[-1].axis_label
    assert model.frame_height >= 26 * n_tasks
    title = {"weight": "Composition weight", "published weight": "Published", "proxy error": "Proxy error"}
    assert of(model, ColorBar)[0].title.startswith(title[kind])


def test_heat_map_scale_is_the_same_for_ours_and_theirs():
    ours, theirs = (
        draw(figures.insight_heatmap(insights(3, 5, kind))) for kind in ("weight", "published weight")
    )
    mappers = [of(model, ColorBar)[0].color_mapper for model in (ours, theirs)]
    assert {(mapper.low, mapper.high) for mapper in mappers} == {(0.001, 1.0)}


def test_families_stand_between_cells_and_colour_bar():
    model = draw(figures.insight_heatmap(insights(4, 6), order="family"))
    assert [type(item).__name__ for item in model.above] == ["LinearAxis", "ColorBar"]
    assert list(model.above[0].major_label_overrides.values()) == ["n0", "n1", "n2"]


# ---------------------------------------------------------------------- experiments


@pytest.mark.parametrize(("n_tasks", "mode"), [(1, "dark"), (2, "light"), (3, "dark"), (20, "light")])
def test_radar(n_tasks, mode):
    model = draw(figures.radar(methods(n_tasks), units={"m task_0": "eV"}, mode=mode))
    assert [item.label.value for item in of(model, Legend)[0].items] == ["m0", "m1", "m2", "m3"]
    said = [title.text for title in of(model, Title)] + [axis.axis_label for axis in of(model, Axis)]
    assert any("divided by that of m0" in (text or "") for text in said)
    points = [r.data_source.data for r in of(model, GlyphRenderer) if "error" in r.data_source.data]
    shown = {(m, t): e for p in points for m, t, e in zip(p["method"], p["task"], p["error"], strict=True)}
    assert len(shown) == 4 * n_tasks - 1
    assert shown["m1", "m task_0"].endswith(" ± 0.10 eV")


def test_radar_puts_the_reference_on_one_ring():
    model = draw(figures.radar(methods(5)))
    points = next(
        r.data_source.data
        for r in of(model, GlyphRenderer)
        if r.data_source.data.get("method", [""])[0] == "m0"
    )
    radii = np.hypot(points["x"], points["y"])
    assert radii == pytest.approx(radii[0])
    assert (points["x"][0], points["y"][0]) == (0, pytest.approx(radii[0]))


def test_error_against_shots():
    model = draw(figures.error_against_shots(shots(), unit="eV"))
    assert model.xaxis[0].major_label_overrides[4416.5] == "4,416\nfull"
    assert set(model.xaxis[0].ticker.ticks) == {10, 100, 4416.5}
    assert model.yaxis[0].axis_label == "Test MAE (eV)"
    assert "±1 standard deviation" in model.title.text
    assert "5 fits" in model.title.text
    single = draw(figures.error_against_shots([ShotErrors("x", None, 34, {"split 0": 0.1})], unit=""))
    assert single.title.text == "Single fits, so no spread"


@pytest.mark.parametrize("n", [1, 2, 17, 60])
def test_continual(n):
    points = changes(n)
    model = draw(figures.continual_scatter(points, line(points), mode="dark"))
    assert ("Pearson r = " in model.title.text) == (n > 2)
    assert f"{n} task" in model.title.text
    assert model.xaxis[0].axis_label == "Decrease in proxy error (%)"


def test_continual_without_a_result():
    with pytest.raises(InputError, match="both hubs"):
        figures.continual_scatter([HubChange("a", float("nan"), 1.0)], None)


def test_comparison_bars():
    starts = [
        StartErrors("composed module", [0.05, 0.07]),
        StartErrors("scratch", [0.12]),
        StartErrors("x", []),
    ]
    model = draw(figures.comparison_bars(starts, unit="eV"))
    data = next(r.data_source.data for r in of(model, GlyphRenderer) if "against" in r.data_source.data)
    assert list(data["against"]) == ["–", "+100.0 %", "–"]
    assert data["mae"][0] == "0.0600 ± 0.014 eV"
    assert "2 fits" in model.xaxis[0].axis_label
    with pytest.raises(InputError, match="no test error"):
        figures.comparison_bars([StartErrors("x", [])], unit="eV")


# ---------------------------------------------------------------------- datasets and errors


def test_target_histogram():
    values = np.random.default_rng(0).gamma(2, 1, 500).tolist()
    model = draw(figures.target_histogram(values, "band gap", "eV", other={"train": values[:300]}))
    assert model.xaxis[0].axis_label.startswith("Band gap (eV)")
    assert [item.label.value for item in of(model, Legend)[0].items] == ["all", "train"]
    draw(figures.target_histogram([1.5], "", "", mode="dark"))


def test_class_histogram():
    model = draw(figures.target_histogram([0, 1, 1, 3], "metallicity", "", classes=["no", "yes"]))
    assert list(model.xaxis[0].major_label_overrides.values()) == ["no", "yes", "3"]
    assert "Class of metallicity" in model.xaxis[0].axis_label


def test_sizes_histogram():
    model = draw(figures.sizes_histogram([1, 2, 2, 40, 200], mode="dark"))
    assert model.xaxis[0].axis_label.startswith("Atoms in the cell")


@pytest.mark.parametrize(
    "values", [{"Si": 1.2}, {"Si": 0.0, "O": 2.0}, {"H": 1e-3, "O": 5.0, "Xx": 3.0}, {"Fe": -1.0, "O": 1.0}]
)
def test_periodic_table(values):
    model = draw(figures.periodic_table(values, "Error", "eV", counts={"Si": 7}))
    assert of(model, ColorBar)[0].title == "Error (eV)"
    shown = next(r.data_source.data for r in of(model, GlyphRenderer) if "element" in r.data_source.data)
    assert set(shown["element"]) == set(values) - {"Xx"}


def test_periodic_table_of_nothing():
    with pytest.raises(InputError, match="No element"):
        figures.periodic_table({"Xx": 1.0, "Si": float("nan")}, "Error", "eV")


def test_error_by_size():
    model = draw(figures.error_by_size(rows(), "eV"))
    assert model.yaxis[0].axis_label == "Absolute error (eV)"
    points = next(r.data_source.data for r in of(model, GlyphRenderer) if "formula" in r.data_source.data)
    assert len(points["id"]) == 60
    many = draw(figures.error_by_size(rows(400), "eV", most=50))
    points = next(r.data_source.data for r in of(many, GlyphRenderer) if "formula" in r.data_source.data)
    assert len(points["id"]) == 50
    draw(figures.error_by_size([Row(0, "a", "", 1, 0.0)], ""))
    with pytest.raises(InputError, match="No test structure"):
        figures.error_by_size([], "eV")


# ---------------------------------------------------------------------- text from users


def test_text_from_users_never_gets_into_a_hover_template_or_tex():
    points = changes(4, EVIL)
    for figure in (
        figures.insight_heatmap(insights(3, 4, "proxy error", EVIL), order="family"),
        figures.radar(methods(4, EVIL), units={f"{EVIL} task_1": EVIL}),
        figures.radar(methods(2, EVIL)),
        figures.error_against_shots(shots(EVIL), unit=EVIL),
        figures.continual_scatter(points, line(points)),
        figures.comparison_bars([StartErrors(EVIL, [1.0])], unit=EVIL),
        figures.target_histogram([1.0, 2.0], EVIL, EVIL, other={EVIL: [1.0]}),
        figures.target_histogram([0, 1], EVIL, "", classes=[EVIL, "b"]),
        figures.periodic_table({"O": 1.0, "Si": 2.0}, EVIL, EVIL),
        figures.error_by_size([replace(row, formula=EVIL) for row in rows(30, EVIL)], EVIL),
        figures.growing_bars({EVIL: 0.1, "b": 0.2}, total=3, unit=EVIL, predicts={EVIL: EVIL}),
    ):
        model = draw(figure)
        tips = [tip for tool in of(model, HoverTool) for tip in tool.tooltips]
        assert tips
        for name, template in tips:
            assert "<" not in name + template
            assert template.startswith("@")
            assert template[1:].replace("_", "").isalpha()
        assert all(plot.background_fill_color for plot in of(model, BokehPlot))
        shown = [axis.axis_label or "" for axis in of(model, Axis)]
        shown += [title.text for title in of(model, Title)]
        shown += [item.label.value for legend in of(model, Legend) for item in legend.items]
        shown += [bar.title or "" for bar in of(model, ColorBar)]
        shown += [str(label) for axis in of(model, Axis) for label in axis.major_label_overrides.values()]
        shown += [str(text) for r in of(model, GlyphRenderer) for text in r.data_source.data.get("text", [])]
        assert any("script" in text for text in shown)
        assert not any("$$" in text for text in shown)
