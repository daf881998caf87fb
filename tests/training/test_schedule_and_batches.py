"""Learning-rate schedule and the cutting of batches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moma_app.backbones.batching import evaluation_batches, group, training_batches
from moma_app.training.fit_rows import inverse_frequencies
from moma_app.training.schedule import WarmupCosinePlateau

costs_lists = st.lists(st.integers(1, 1000), min_size=1, max_size=80)


@given(costs_lists, st.integers(1, 20), st.integers(1, 3000))
def test_groups_keep_to_both_limits_and_lose_nothing(costs, most, rows):
    costs = np.array(costs)
    batches = list(group(range(len(costs)), costs, most, rows))
    assert np.concatenate(batches).tolist() == list(range(len(costs)))
    for batch in batches:
        assert len(batch) <= most
        assert costs[batch].sum() <= rows or len(batch) == 1


@given(costs_lists, st.integers(1, 20), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_visits_every_row_once(costs, size, seed, epoch):
    costs = np.array(costs)
    rows = np.arange(len(costs))[::2]
    batches = training_batches(rows, costs, batch_size=size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    again = training_batches(rows, costs, batch_size=size, seed=seed, epoch=epoch)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_epochs_differ_and_no_single_structure_is_left_over():
    costs = np.ones(33, dtype=int)
    first, second = (
        training_batches(np.arange(33), costs, batch_size=16, seed=0, epoch=epoch) for epoch in (0, 1)
    )
    assert [len(batch) for batch in first] == [16, 17]
    assert not np.array_equal(first[0], second[0])


def test_evaluation_takes_the_largest_first():
    costs = np.array([5, 100, 7, 50])
    assert np.concatenate(evaluation_batches(np.arange(4), costs)).tolist() == [1, 3, 2, 0]


def test_rare_targets_are_drawn_more_often():
    targets = np.concatenate([np.zeros(90), np.ones(10)])
    weights = inverse_frequencies(targets)
    assert weights.sum() == pytest.approx(1)
    assert weights[:90].sum() == pytest.approx(0.5)
    assert weights[-1] == pytest.approx(9 * weights[0])


def test_warmup_rises_and_cosine_falls():
    schedule = WarmupCosinePlateau(total_steps=100, warmup_steps=10, final_fraction=0.01)
    factors = [schedule.factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == pytest.approx(1.0)
    assert all(b < a for a, b in pairwise(factors[10:]))
    assert schedule.factor(100) == pytest.approx(0.01)
    assert schedule.factor(10_000) == pytest.approx(0.01)


def test_a_plateau_halves_the_rate_and_survives_a_checkpoint():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([{"params": [parameter], "lr": 1.0, "initial_lr": 1.0}])
    schedule = WarmupCosinePlateau(total_steps=10**9, warmup_steps=1, patience=2)
    for error in (1.0, 1.0, 1.0):  # the first is an improvement, two are not
        schedule.after_epoch(error)
    copy = WarmupCosinePlateau(total_steps=1, warmup_steps=1)
    copy.load_state_dict(schedule.state_dict())
    copy.before_step(optimizer)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5)


@given(costs_lists, st.integers(1, 20), st.integers(1, 3000))
def test_batches_in_edges_keep_to_their_limit(edges, size, most):
    edges = np.array(edges)
    rows = np.arange(len(edges))
    batches = training_batches(rows, edges, batch_size=size, seed=1, epoch=0, edges=edges, max_edges=most)
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    for batch in batches[:-1]:  # a single structure that is left over joins the last
        assert edges[batch].sum() <= most or len(batch) == 1
