"""Histograms, elements and sizes, before they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.errors import InputError
from moma_app.plots.analysis_values import ErrorAnalysis
from moma_app.plots.elements import PLACES
from moma_app.plots.histogram_values import MOST_BINS, histogram
from moma_app.plots.sizes import medians

numbers = st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, float("nan"), float("inf")])


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=300), st.booleans())
def test_a_histogram_counts_every_finite_value_once(values, whole):
    finite = [v for v in values if np.isfinite(v)]
    if not finite:
        with pytest.raises(InputError, match="no finite value"):
            histogram({"all": values}, whole=whole)
        return
    data = histogram({"all": values, "some": values[:3]}, whole=whole)
    assert sum(data.counts["all"]) == len(finite)
    assert data.n_left_out == len(values) - len(finite)
    assert len(data.edges) == len(data.counts["all"]) + 1 <= MOST_BINS + 2
    assert (np.diff(data.edges) > 0).all()


def test_outliers_are_gathered_at_the_ends():
    values = [*np.random.default_rng(0).normal(0, 1, 1000), 1e6, -1e6]
    data = histogram({"all": values})
    assert (data.n_below, data.n_above) >= (1, 1)
    assert max(data.edges) < 100
    assert sum(data.counts["all"]) == 1002


def test_whole_numbers_stand_in_the_middle_of_their_bins():
    data = histogram({"all": [1, 2, 2, 3, 3, 3]}, whole=True)
    assert data.edges == [0.5, 1.5, 2.5, 3.5]
    assert data.counts["all"] == [1, 2, 3]


def test_every_element_has_its_own_place():
    assert len(PLACES) == len(set(PLACES.values())) == 118
    assert PLACES["H"] == (0, 0)
    assert PLACES["He"] == (0, 17)
    assert PLACES["Fe"] == (3, 7)
    assert PLACES["Si"] == (2, 13)
    assert PLACES["Hf"] == (5, 3)
    assert PLACES["La"][1] == PLACES["Ac"][1] == 2
    assert PLACES["Lu"] == (8, 16)


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 10)), min_size=1, max_size=200))
def test_medians_split_no_size(rows):
    sizes, values = zip(*rows, strict=True)
    line = medians(sizes, values)
    assert 1 <= len(line) <= 12
    x = [point[0] for point in line]
    assert x == sorted(set(x))
    if len(rows) < 24:
        assert line == [(float(np.median(sizes)), float(np.median(values)))]


def test_medians_follow_the_data():
    sizes = np.repeat([1, 10, 100], 50)
    assert medians(sizes.tolist(), (2.0 * sizes).tolist())[-1] == (100, 200)


def test_an_analysis_from_its_plain_form():
    row = {"position": 3, "id": "a", "formula": "NaCl", "n_atoms": 2, "error": -0.5}
    plain = {
        "by_element": [{"element": "Na", "mae": 0.5, "n": 1}],
        "rows": [row],
        "worst": [{**row, "true": 1.0, "predicted": 0.5}],
    }
    analysis = ErrorAnalysis.from_dict(plain)
    assert analysis.by_element[0].element == "Na"
    assert analysis.rows[0].error == analysis.worst[0].error == -0.5
    for broken in ({}, {**plain, "rows": [{"id": "a"}]}, {**plain, "worst": None}):
        with pytest.raises(InputError, match="cannot be read"):
            ErrorAnalysis.from_dict(broken)
