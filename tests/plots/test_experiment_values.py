"""Numbers behind the figures of experiments, before they are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moma_app.errors import InputError, UnknownNameError
from moma_app.plots.radar_values import MethodErrors, radar_values, rings
from moma_app.plots.shots import ShotErrors, shot_lines
from moma_app.plots.starts import StartErrors

AMC = MethodErrors("AMC", {"a": 0.5, "b": 2.0, "c": 0.0, "d": math.nan})


def test_radar_divides_by_the_reference_task_by_task():
    other = MethodErrors("bare", {"a": 0.6, "b": 1.0, "d": 3.0, "e": 1.0})
    data = radar_values([AMC, other])
    assert (data.tasks, data.left_out, data.reference) == (["a", "b"], ["c", "d", "e"], "AMC")
    assert data.lines[0].ratios == [1, 1]
    assert data.lines[1].ratios == pytest.approx([1.2, 0.5])
    assert data.radius(data.rings[0]) == 0
    assert data.radius(data.rings[-1]) == 1
    assert radar_values([AMC, other], "bare").lines[0].ratios[0] == pytest.approx(1 / 1.2)


def test_radar_takes_paired_differences_where_they_are_known():
    other = MethodErrors("bare", {"a": 0.6, "b": 1.0}, differences={"a": 7.0})
    assert radar_values([AMC, other]).lines[1].ratios == pytest.approx([1.07, 0.5])


def test_radar_has_gaps_where_a_method_was_not_run():
    partial = MethodErrors("random", {"b": 3.0})
    assert radar_values([AMC, partial]).lines[1].ratios == [None, 1.5]


def test_radar_refuses_what_cannot_be_compared():
    with pytest.raises(InputError, match="at least one"):
        radar_values([])
    with pytest.raises(InputError, match="same name"):
        radar_values([AMC, AMC])
    with pytest.raises(UnknownNameError, match="AMC"):
        radar_values([AMC], "amc")
    with pytest.raises(InputError, match="no test error"):
        radar_values([MethodErrors("AMC", {"a": 0.0})])


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_rings_hold_the_ratios(a, b):
    low, high = min(a, b), max(a, b)
    found = rings(low, high)
    assert 3 <= len(found) <= 8
    assert found[0] >= 0
    assert found[0] <= low
    assert found[-1] >= high * (1 - 1e-9)
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_shots_have_mean_and_spread_over_the_fits():
    errors = {"split 0": 0.2, "split 1": 0.4, "split 2": 0.6, "split 3": math.nan}
    results = [ShotErrors("MoMa", None, 3000, {"split 0": 0.1}), ShotErrors("MoMa", 10, 10, errors)]
    few, full = shot_lines(results)["MoMa"]
    assert (few.n_train, few.mean, few.n_fits) == (10, pytest.approx(0.4), 3)
    assert (few.low, few.high) == pytest.approx((0.2, 0.6))
    assert (full.low, full.mean, full.high, full.n_fits) == (0.1, 0.1, 0.1, 1)
    by_range = shot_lines([ShotErrors("x", 10, 10, {"a": 1.0, "b": 1.0, "c": 4.0})], "range")["x"][0]
    assert (by_range.low, by_range.mean, by_range.high) == (1, 2, 4)
    with pytest.raises(InputError, match="no test error"):
        shot_lines([ShotErrors("x", 10, 10, {})])


def test_starts_ignore_what_is_not_finite():
    start = StartErrors("scratch", [1.0, 3.0, math.inf])
    assert (start.mean, start.std) == (2.0, pytest.approx(math.sqrt(2)))
    assert StartErrors("x", [1.0]).std is None
    assert math.isnan(StartErrors("x", []).mean)
