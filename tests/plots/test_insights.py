"""What modules are worth to tasks: the matrix, its order, its scale, and its files."""

from __future__ import annotations

import csv
import io
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.errors import InputError
from moma_app.plots import heatmap_export
from moma_app.plots.insight_order import arranged, cell_at, cluster, groups
from moma_app.plots.insight_values import (
    Insights,
    ranks,
    scale_of,
    shown_values,
    stability_text,
    value_text,
)

FAMILIES = {"m0": "mechanical", "m1": "electronic", "m2": "mechanical", "t0": "thermal", "t1": "mechanical"}
WEIGHTS = Insights(
    modules=["m0", "m1", "m2"],
    tasks=["t0", "t1"],
    values=[[0.7, 0.3, 0.0], [None, 0.0005, 0.9995]],
    stds=[[0.021, 0.02, 0.0], [None, 0.0, 0.0]],
    splits=[[5, 5, 5], [0, 1, 1]],
    properties={"m0": "bulk modulus", "t0": "band gap"},
    units={"m0": "log10(GPa)", "t0": "eV"},
    families=FAMILIES,
)
ERRORS = Insights(
    ["a", "b", "c"], ["t", "u"], [[0.2, 0.1, 0.3], [50, math.nan, 25]], kind="proxy error", units={"u": "meV"}
)


@st.composite
def matrices(draw) -> Insights:
    n_tasks, n_modules = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    value = st.none() | st.just(0.0) | st.floats(1e-6, 1)
    rows = draw(
        st.lists(st.lists(value, min_size=n_modules, max_size=n_modules), min_size=n_tasks, max_size=n_tasks)
    )
    names = draw(st.permutations([f"n{i}" for i in range(n_tasks + n_modules)]))
    family = st.sampled_from(["electronic", "mechanical", ""])
    return Insights(
        names[:n_modules],
        names[n_modules:],
        rows,
        draw(st.sampled_from(["weight", "proxy error", "published weight"])),
        families={name: draw(family) for name in names},
    )


@settings(max_examples=60, deadline=None)
@given(matrices(), st.sampled_from(["name", "cluster", "family"]))
def test_every_order_keeps_each_value_with_its_names(insights, order):
    before = {
        (task, module): value
        for task, row in zip(insights.tasks, insights.values, strict=True)
        for module, value in zip(insights.modules, row, strict=True)
    }
    view = arranged(insights, order)
    for i, task in enumerate(view.tasks):
        for j, module in enumerate(view.modules):
            assert view.values[i][j] == before[task, module]
            assert cell_at(insights, j + 0.4, -i - 0.4, order=order) == (task, module)
    assert cell_at(insights, len(view.modules) - 0.4, 0, order=order) is None
    assert cell_at(insights, 0, 0.6, order=order) is None


@settings(max_examples=60, deadline=None)
@given(matrices())
def test_levels_of_known_values_lie_in_the_scale(insights):
    values, scale = shown_values(insights), scale_of(insights)
    positive = values > 0
    levels = scale.levels(np.where(positive, values, np.nan))
    assert ((levels[positive] >= 0) & (levels[positive] <= 1)).all()
    assert np.isnan(levels[~positive]).all()
    assert set(scale.ticks) >= {scale.first, scale.last}


def test_darker_is_better_for_both_kinds():
    weights = scale_of(WEIGHTS)
    assert weights.levels(np.array([1e-5, 1e-3, 0.0316227766, 1.0])) == pytest.approx([0, 0, 0.5, 1])
    errors = scale_of(ERRORS)
    assert errors.levels(np.array([1.0, 3.0, 99.0])) == pytest.approx([1, 0, 0])


def test_errors_are_compared_within_their_task():
    assert shown_values(ERRORS) == pytest.approx(np.array([[2, 1, 3], [2, math.nan, 1]]), nan_ok=True)


def test_ranks():
    assert ranks(WEIGHTS) == [[1, 2, 3], [None, 2, 1]]
    assert ranks(ERRORS) == [[2, 1, 3], [2, None, 1]]
    ties = Insights(["a", "b", "c"], ["t"], [[0.0, 1.0, 0.0]])
    assert ranks(ties) == [[2, 1, 2]]


def test_words_for_the_hover_box():
    assert value_text(WEIGHTS, 0, 0) == "0.700"
    assert value_text(WEIGHTS, 1, 0) == "not computed"
    assert value_text(ERRORS, 1, 2) == "25.0 meV"
    assert stability_text(WEIGHTS, 0, 0) == "±0.021 over 5 splits"
    assert stability_text(WEIGHTS, 1, 1) == "– over 1 split"
    assert stability_text(ERRORS, 0, 0) == "–"
    assert WEIGHTS.quantity("m0") == "bulk modulus [log10(GPa)]"
    assert WEIGHTS.family("unheard of") == "other"


def test_clusters_put_like_rows_side_by_side():
    rng = np.random.default_rng(0)
    kinds = np.arange(12) % 3
    profiles = np.eye(3)[kinds] * rng.uniform(0.2, 5, (12, 1)) + rng.uniform(0, 0.01, (12, 3))
    ordered = kinds[cluster(profiles)]
    assert (np.diff(ordered) != 0).sum() == 2


@pytest.mark.parametrize("profiles", [np.zeros((5, 4)), np.ones((6, 1)), np.eye(4)[:, :2], np.ones((1, 3))])
def test_clusters_of_constant_and_empty_rows(profiles):
    assert sorted(cluster(profiles)) == list(range(len(profiles)))


def test_families_stand_together():
    view = arranged(WEIGHTS, "family")
    assert view.modules == ["m1", "m0", "m2"]
    assert groups(view.modules, view.family) == [("electronic", 0, 0), ("mechanical", 1, 2)]


@pytest.mark.parametrize(
    ("modules", "tasks", "values", "said"),
    [
        ([], ["t"], [[]], "at least one module"),
        (["m"], [], [], "at least one task"),
        (["m", "m"], ["t"], [[1, 1]], "two modules of the same name"),
        (["m"], ["t"], [[1, 2]], "1 row of 1"),
        (["m"], ["t"], [], "1 row of 1"),
    ],
)
def test_a_matrix_that_is_none_is_refused(modules, tasks, values, said):
    with pytest.raises(InputError, match=said):
        Insights(modules, tasks, values)


# ---------------------------------------------------------------------- files


def test_csv_has_every_cell():
    rows = list(csv.DictReader(io.StringIO(heatmap_export.to_csv(WEIGHTS))))
    assert len(rows) == 6
    first = rows[0]
    assert (first["task"], first["module"], first["kind"]) == ("t0", "m0", "weight")
    assert (float(first["value"]), float(first["std"]), first["splits"], first["rank"]) == (
        0.7,
        0.021,
        "5",
        "1",
    )
    missing = rows[3]
    assert (missing["module"], missing["value"], missing["rank"]) == ("m0", "", "")


def test_csv_holds_no_formula():
    bad = Insights(['=HYPERLINK("x")', "@m"], ["-t"], [[1.0, 2.0]], kind="proxy error", units={"-t": "+eV"})
    rows = list(csv.DictReader(io.StringIO(heatmap_export.to_csv(bad))))
    for row in rows:
        assert not any(row[name].startswith(("=", "+", "-", "@")) for name in ("task", "module", "unit"))


@pytest.mark.parametrize("order", ["name", "family"])
def test_svg_shows_text_literally(order):
    evil = "<script>$x^2$</script>&"
    insights = Insights([evil, "b"], ["t", "u"], [[0.2, 0.8], [0.0, None]], families={evil: evil})
    drawn = heatmap_export.to_svg(insights, order=order)
    root = ET.fromstring(drawn)
    texts = {"".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {evil, "b", "t", "u", "0.80", "0.20", "weight 0", "not computed", "Composition weight"} <= texts
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert heatmap_export.to_svg(insights, order=order) == drawn


def test_png_is_a_picture_of_the_asked_resolution():
    from PIL import Image

    small, large = (
        Image.open(io.BytesIO(heatmap_export.to_png(WEIGHTS, order="cluster", dpi=dpi))) for dpi in (50, 150)
    )
    assert large.width == pytest.approx(3 * small.width, rel=0.05)
    assert len(large.convert("RGB").getcolors(large.width * large.height)) > 20
