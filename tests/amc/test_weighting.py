"""The rules for weights: convex, equal where they say so, of the right modules, whatever their order."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.amc.result import AMCResult
from moma_app.amc.weighting import WEIGHTINGS, weigh
from moma_app.amc.weights import optimize_weights
from moma_app.errors import InputError, UnknownNameError


@st.composite
def problems(draw):
    """Estimates [m, N] and targets [m] of a few modules, some of them useless."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, n = draw(st.integers(3, 30)), draw(st.integers(1, 8))
    targets = random.normal(size=m)
    noise = random.uniform(0.1, 3.0, size=n)
    return targets[:, None] + noise * random.normal(size=(m, n)), targets


def named(n: int) -> list[str]:
    return [f"module-{number}" for number in range(n)]


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from(WEIGHTINGS), st.integers(0, 100))
def test_weights_are_convex_and_the_objective_is_theirs(problem, weighting, seed):
    table, targets = problem
    found = weigh(table, targets, weighting, names=named(table.shape[1]), draw=(seed,))
    assert (found.weights >= 0).all()
    assert found.weights.sum() == pytest.approx(1.0)
    assert found.objective == pytest.approx(np.mean((table @ found.weights - targets) ** 2))
    best = optimize_weights(table, targets).objective
    assert found.objective >= best * (1 - 1e-9), "nothing convex is better than AMC"


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 100))
def test_each_rule_weighs_the_modules_that_it_names(problem, seed):
    table, targets = problem
    n = table.shape[1]
    found = {rule: weigh(table, targets, rule, names=named(n), draw=(seed, 1)).weights for rule in WEIGHTINGS}
    selected = found["amc"] > 0
    assert ((found["select-average"] > 0) == selected).all()
    assert found["all-average"] == pytest.approx(np.full(n, 1 / n))
    assert (found["random"] > 0).sum() == selected.sum()
    for rule in ("select-average", "all-average", "random"):
        carried = found[rule][found[rule] > 0]
        assert carried == pytest.approx(1 / len(carried))
    errors = np.abs(table - targets[:, None]).mean(axis=0)
    assert found["best-single"][np.argmin(errors)] == 1


@settings(max_examples=40, deadline=None)
@given(problems(), st.sampled_from(WEIGHTINGS), st.randoms(use_true_random=False))
def test_the_order_of_the_modules_does_not_matter(problem, weighting, shuffler):
    table, targets = problem
    order = list(range(table.shape[1]))
    shuffler.shuffle(order)
    names = named(len(order))
    plain = weigh(table, targets, weighting, names=names, draw=(7,)).weights
    other = weigh(table[:, order], targets, weighting, names=[names[i] for i in order], draw=(7,)).weights
    assert other == pytest.approx(plain[order], abs=1e-9)


def test_what_is_drawn_depends_on_the_seed_alone():
    random = np.random.default_rng(0)
    targets = random.normal(size=50)
    table = targets[:, None] + random.normal(size=(50, 12))
    drawn = [
        tuple(np.flatnonzero(weigh(table, targets, "random", names=named(12), draw=(seed,)).weights))
        for seed in (0, 0, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_modules_without_finite_estimates_take_no_part():
    targets = np.arange(6.0)
    table = np.stack([targets + 1, np.full(6, np.nan), targets - 1], axis=1)
    for rule in WEIGHTINGS:
        assert weigh(table, targets, rule, names=named(3)).weights[1] == 0
    assert weigh(table, targets, "all-average", names=named(3)).weights.tolist() == [0.5, 0, 0.5]


def test_bad_input_gets_one_sentence():
    table, targets = np.ones((3, 2)), np.arange(3.0)
    with pytest.raises(UnknownNameError, match="did you mean best-single"):
        weigh(table, targets, "best", names=named(2))
    with pytest.raises(InputError, match="3 names were given for 2 modules"):
        weigh(table, targets, "random", names=named(3))


def test_results_of_the_time_before_there_were_rules_are_amcs():
    result = AMCResult(
        task="t",
        property="p",
        unit="",
        modules=[],
        objective=1.0,
        status="random",
        k=5,
        temperature=0.2,
        split=0,
        shots=None,
        seed=0,
        split_origin="random",
        train_ids=[],
        train_targets=[],
        backbone="chgnet",
        fingerprint="0",
        kind="full",
        layers="all",
        weighting="random",
    )
    assert AMCResult.from_json(result.to_json()) == result
    old = json.loads(result.to_json())
    del old["weighting"]
    assert AMCResult.from_dict(old).weighting == "amc"
