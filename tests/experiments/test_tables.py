"""Tables of experiments from results that are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.experiments.ablation import Ablation, summarise
from moma_app.experiments.cells import Cell
from moma_app.experiments.continual import Continual, task_means, trend
from moma_app.experiments.few_shot import FewShot
from moma_app.experiments.results import CellResult
from moma_app.experiments.statistics import fit_line, rank_correlation, spread

TASK, OTHER = "mp_phonons", "expt_eform"
FINITE = st.floats(-1e3, 1e3)


def result(task=TASK, *, mae, **place) -> CellResult:
    proxies = {name: place.pop(name) for name in ("objective", "composed_proxy_mae") if name in place}
    return CellResult(Cell(task, "instant", **place), {"test_mae": mae, **proxies}, 1.0, "run")


def test_differences_are_paired_by_split():
    plan = Ablation(tasks=(TASK, OTHER), splits=(0, 1, 2), methods=("random", "bare"))
    rows = plan.table(
        [
            result(method="amc", split=0, mae=1.0),
            result(method="amc", split=1, mae=2.0),
            result(method="random", split=0, mae=1.1),
            result(method="random", split=1, mae=2.6),
            result(method="bare", split=2, mae=9.0),  # AMC has no split 2: no difference
            result(OTHER, method="amc", split=0, mae=4.0),
            result(OTHER, method="random", split=0, mae=3.0),
        ]
    )
    of = {(row["task"], row["method"]): row for row in rows}
    random = of[TASK, "random"]
    assert (random["mae"], random["n"], random["pairs"]) == (pytest.approx(1.85), 2, 2)
    assert random["difference"] == pytest.approx(20.0)
    assert random["difference_std"] == pytest.approx(np.std([10, 30], ddof=1))
    assert (of[TASK, "bare"]["difference"], of[TASK, "bare"]["pairs"]) == (None, 0)
    assert of[OTHER, "random"]["difference"] == pytest.approx(-25.0)
    assert of[OTHER, "random"]["mae_std"] is None
    assert of[TASK, "amc"]["difference"] == 0
    (summary,) = summarise(rows)
    assert (summary.method, summary.worse_in, summary.tasks) == ("random", 1, 2)
    assert summary.difference == pytest.approx(-2.5)


def test_error_against_the_number_of_rows(home, make_task):
    task = make_task("alpha", rows=100)
    plan = FewShot(tasks=(task,), splits=(0, 1), shots=(10, None))
    rows = plan.table(
        [
            result(task, method="amc", split=0, shots=10, mae=1.0),
            result(task, method="amc", split=1, shots=10, mae=3.0),
            result(task, method="amc", split=0, mae=0.5),
        ]
    )
    assert [(row["shots"], row["train_rows"], row["mae"], row["n"]) for row in rows] == [
        (10, 10, 2.0, 2),
        (None, 70, 0.5, 1),
    ]
    assert rows[0]["mae_std"] == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(("proxy", "decrease"), [("objective", 50.0), ("mae", 20.0)])
def test_decreases_by_a_hub_that_grew(proxy, decrease):
    plan = Continual(tasks=(TASK, OTHER), splits=(0, 1), before=("a",), proxy=proxy)
    rows = plan.table(
        [
            result(group="before", mae=2.0, objective=0.8, composed_proxy_mae=1.0),
            result(group="after", mae=1.5, objective=0.4, composed_proxy_mae=0.8),
            result(group="before", split=1, mae=2.0, objective=0.8, composed_proxy_mae=1.0),
            result(OTHER, group="after", mae=1.5, objective=0.4, composed_proxy_mae=0.8),
        ]
    )
    (row,) = rows
    assert (row["task"], row["split"]) == (TASK, 0)
    assert (row["proxy_decrease"], row["mae_decrease"]) == (pytest.approx(decrease), pytest.approx(25.0))


def test_the_points_of_the_figure_are_tasks():
    rows = [
        {"task": task, "learner": "instant", "proxy_decrease": x + d, "mae_decrease": 2 * x + d}
        for task, x in (("a", 1.0), ("b", 2.0), ("c", 4.0))
        for d in (-0.5, 0.5)
    ]
    points = task_means(rows)
    assert [(p["task"], p["proxy_decrease"], p["n"]) for p in points] == [
        ("a", 1, 2),
        ("b", 2, 2),
        ("c", 4, 2),
    ]
    line = trend(points)
    assert (line.n, line.slope, line.intercept) == (3, pytest.approx(2), pytest.approx(0))
    assert trend(points[:2]) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE), min_size=4, max_size=20))
def test_the_line_is_that_of_least_squares(points):
    x, y = np.array(points).T
    line = fit_line(x, y)
    if line is None:
        assert np.ptp(x) == 0 or np.ptp(y) == 0
        return
    if np.ptp(x) < 1e-6 * max(1, np.abs(x).max()) or np.ptp(y) < 1e-6 * max(1, np.abs(y).max()):
        return  # rounding decides
    slope, intercept = np.polyfit(x, y, 1)
    assert line.slope * x + line.intercept == pytest.approx(slope * x + intercept, abs=1e-6 * np.abs(y).max())
    assert line.r == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
    assert line.n == len(points)
    assert line.low <= line.r + 1e-9
    assert line.high >= line.r - 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=15))
def test_rank_correlation_sees_nothing_but_the_order(points):
    x, y = np.array(points).T
    found = rank_correlation(x, y)
    places = [np.searchsorted(np.unique(values), values).astype(float) for values in (x, y)]
    again = rank_correlation(places[0] ** 3, -places[1])
    if found is None:
        assert again is None
        return
    assert again.spearman == pytest.approx(-found.spearman)
    assert again.kendall == pytest.approx(-found.kendall)
    assert -1 <= found.kendall <= 1


def test_few_values_have_no_spread():
    assert spread([]) is None
    assert spread([2.0]).std is None
    assert fit_line([1, 2], [1, 2]) is None
    assert fit_line([1, 2, 3], [1, 2, 3]).low is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
