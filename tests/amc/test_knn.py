"""Eq. 1: leave-one-out kNN predictions, against the authors' numbers and a plain implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from moma_app.amc import nearest, nearest_block, nearest_kernel
from moma_app.amc.knn import knn_predictions
from moma_app.amc.nearest import nearest_rows
from moma_app.amc.weights import optimize_weights
from moma_app.errors import InputError


@pytest.fixture(params=["native", "torch"], autouse=True)
def kernel(request, monkeypatch):
    """Everything here holds for the compiled kernel and for PyTorch, which GPUs use."""
    monkeypatch.setenv("MOMA_KERNEL", request.param)
    return request.param


def dense(embeddings, targets, k, temperature):
    """Eq. 1 as it is written, one row after another."""
    predictions = []
    for i, row in enumerate(embeddings):
        others = [j for j in range(len(embeddings)) if j != i]
        cosines = {
            j: float(row @ embeddings[j] / np.linalg.norm(row) / np.linalg.norm(embeddings[j]))
            for j in others
        }
        nearest = sorted(others, key=lambda j: (-round(cosines[j], 12), j))[:k]
        weights = [math.exp(cosines[j] / temperature) for j in nearest]
        predictions.append(sum(w * targets[j] for w, j in zip(weights, nearest, strict=True)) / sum(weights))
    return np.array(predictions)


def random_rows(seed, m=60, d=7):
    random = np.random.default_rng(seed)
    return random.normal(size=(m, d)), random.normal(size=m)


class TestAuthorsNumbers:
    @pytest.mark.parametrize("temperature", ["0.2", "1"])
    def test_predictions_errors_and_weights(self, reference, temperature):
        label = reference("mp_phonons", "label")
        ours = []
        for number, embeddings in enumerate(reference("mp_phonons", "embedding")):
            ours.append(knn_predictions(embeddings, label, temperature=float(temperature)))
            clear = ~reference("mp_phonons", "knn_tie")[number]
            theirs = reference("mp_phonons", f"pred_T{temperature}")[number]
            assert clear.mean() > 0.99
            np.testing.assert_allclose(ours[-1][clear], theirs[clear], rtol=0, atol=1e-5)
        mae = np.abs(np.array(ours) - label).mean(axis=1)
        np.testing.assert_allclose(mae, reference("mp_phonons", f"mae_T{temperature}"), rtol=0, atol=6e-4)
        for cap, rows in (("cap800", 800), ("full", None)):
            solution = optimize_weights(np.array(ours).T[:rows], label[:rows])
            theirs = reference("mp_phonons", f"w_T{temperature}_{cap}")
            np.testing.assert_allclose(solution.weights, theirs, rtol=0, atol=2e-4)

    def test_neighbours(self, reference):
        for number, embeddings in enumerate(reference("mp_phonons", "embedding")):
            clear = ~reference("mp_phonons", "knn_tie")[number]
            ours = nearest_rows(embeddings, 5).indices[clear]
            theirs = reference("mp_phonons", "nbr5")[number][clear]
            assert (np.sort(ours, axis=1) == np.sort(theirs, axis=1)).all()

    def test_the_default_temperature_is_that_of_the_authors_code(self, reference):
        embeddings, label = (
            reference("mp_phonons", "embedding")[0][:50],
            reference("mp_phonons", "label")[:50],
        )
        assert np.array_equal(
            knn_predictions(embeddings, label), knn_predictions(embeddings, label, 5, temperature=0.2)
        )


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0, 30.0])
@pytest.mark.parametrize(("m", "k"), [(2, 1), (6, 5), (20, 1), (60, 5), (60, 30), (60, 59)])
def test_agrees_with_the_plain_implementation(m, k, temperature):
    embeddings, targets = random_rows(m + k, m)
    ours = knn_predictions(embeddings, targets, k, temperature)
    np.testing.assert_allclose(ours, dense(embeddings, targets, k, temperature), rtol=0, atol=1e-10)


@settings(deadline=None, max_examples=60)
@given(
    rows=arrays.arrays(
        np.int8, st.tuples(st.integers(3, 25), st.integers(1, 3)), elements=st.integers(-2, 2)
    ),
    data=st.data(),
)
def test_agrees_with_the_plain_implementation_when_ties_abound(rows, data):
    rows = rows[np.abs(rows).any(axis=1)].astype(float)
    if len(rows) < 2:
        return
    k = data.draw(st.integers(1, len(rows) - 1))
    targets = np.arange(len(rows)) ** 2.0
    ours = knn_predictions(rows, targets, k)
    np.testing.assert_allclose(ours, dense(rows, targets, k, 0.2), rtol=0, atol=1e-8)


def test_rows_that_float32_cannot_tell_apart_are_ranked_right():
    """Angles of 1e-6 differ in cosine by 1e-12: float32 sees 40 equal rows."""
    angles = np.cumsum(1e-4 * (1 + np.arange(40) % 7))
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ours = nearest_rows(embeddings, 3).indices
    for i in range(40):
        others = sorted(set(range(40)) - {i}, key=lambda j: abs(angles[i] - angles[j]))
        wanted = {round(abs(angles[i] - angles[j]), 9) for j in others[:3]}
        assert {round(abs(angles[i] - angles[j]), 9) for j in ours[i]} <= wanted


@pytest.mark.parametrize("block_rows", [8, 13, 59, 60])
def test_block_size_does_not_matter(monkeypatch, block_rows):
    normal, targets = random_rows(3)
    tied = normal.round()
    tied[:, 0] += 5
    for embeddings in (normal, tied, np.ones((60, 4))):
        whole = nearest_rows(embeddings, 5)
        predictions = knn_predictions(embeddings, targets)
        with monkeypatch.context() as patch:
            patch.setattr(nearest, "BLOCK_ROWS", block_rows)
            parts = nearest_rows(embeddings, 5)
            assert np.array_equal(parts.indices, whole.indices)
            np.testing.assert_allclose(parts.similarities, whole.similarities, rtol=0, atol=1e-12)
            np.testing.assert_allclose(knn_predictions(embeddings, targets), predictions, rtol=1e-12)


def in_float64(embeddings, k):
    """All similarities at once, ranked as the contract has it."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    similarities = (unit @ unit.T).round(12)
    np.fill_diagonal(similarities, -np.inf)
    indices = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(similarities, indices, axis=1)


def crowd(m=1500):
    """Three tight bunches, one of equal rows, one whose rows float32 can hardly tell apart."""
    random = np.random.default_rng(8)
    bunches = np.repeat(random.normal(size=(3, 6)), m // 3, axis=0)
    return bunches + np.repeat([0, 1e-4, 1e-2], m // 3)[:, None] * random.normal(size=(m, 6))


@pytest.mark.parametrize("k", [1, 2, 5, 70])
@pytest.mark.parametrize("rows", [random_rows(6, 2500, 9)[0], random_rows(7, 1111, 2)[0], crowd()])
def test_many_rows_are_ranked_as_in_float64(rows, k):
    nearest_k = nearest_rows(rows, k)
    indices, similarities = in_float64(rows, k)
    assert (nearest_k.indices == indices).mean() > 0.999  # the twelfth decimal may be rounded either way
    np.testing.assert_allclose(nearest_k.similarities, similarities, rtol=0, atol=1e-11)


def test_rows_that_are_compared_with_all_others_get_the_same_neighbours(monkeypatch):
    rows = random_rows(6, 700, 5)[0]
    expected = nearest_rows(rows, 5)
    monkeypatch.setattr(nearest_block, "CROWD", -1000)
    monkeypatch.setattr(nearest_kernel, "CROWD", 6 - 4 * 5)  # a list of six, one more than are wanted
    for ours, theirs in zip(nearest_rows(rows, 5), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_a_device_that_multiplies_coarsely_is_found_out(monkeypatch):
    """With TensorFloat-32, a GPU keeps ten bits of what is multiplied."""
    rows = random_rows(6, 700, 5)[0]
    expected = nearest_rows(rows, 5)
    multiply = torch.mm
    monkeypatch.setattr(
        torch, "mm", lambda a, b, out: multiply((a * 1024).round() / 1024, (b * 1024).round() / 1024, out=out)
    )
    for ours, theirs in zip(nearest_rows(rows, 5), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("rows", [random_rows(6, 2500, 9)[0], crowd()])
def test_a_gpu_finds_the_same_neighbours(rows):
    expected = nearest_rows(rows, 5)
    ours = nearest_rows(rows, 5, "cuda")
    assert (ours.indices == expected.indices).mean() > 0.999
    np.testing.assert_allclose(ours.similarities, expected.similarities, rtol=0, atol=1e-11)


class TestTies:
    def test_equal_embeddings_take_the_first_other_rows(self):
        indices = nearest_rows(np.tile([1.0, 2.0, -3.0], (30, 1)), 3).indices
        assert indices[0].tolist() == [1, 2, 3]
        assert indices[1].tolist() == [0, 2, 3]
        assert indices[2].tolist() == [0, 1, 3]
        assert (indices[3:] == [0, 1, 2]).all()

    def test_equal_embeddings_give_the_mean_of_the_first_other_targets(self):
        targets = np.arange(30.0)
        ours = knn_predictions(np.ones((30, 4), np.float32), targets, k=3, temperature=0.01)
        np.testing.assert_allclose(ours, [2, 5 / 3, 4 / 3] + 27 * [1.0], rtol=1e-15)

    def test_duplicates_are_nearest_to_one_another_in_row_order(self):
        embeddings, _ = random_rows(1, m=10)
        indices = nearest_rows(np.concatenate([embeddings, 3 * embeddings, 0.1 * embeddings]), 2).indices
        for i in range(10):
            assert indices[i].tolist() == [10 + i, 20 + i]
            assert indices[10 + i].tolist() == [i, 20 + i]
            assert indices[20 + i].tolist() == [i, 10 + i]

    def test_a_row_is_never_its_own_neighbour(self):
        for embeddings in (random_rows(0)[0], np.ones((60, 2))):
            indices = nearest_rows(embeddings, 59).indices
            for i, row in enumerate(indices):
                assert sorted(row) == sorted(set(range(60)) - {i})


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), exponent=st.floats(-150, 150))
def test_scaling_embeddings_changes_nothing(seed, exponent):
    embeddings, targets = random_rows(seed, m=25, d=4)
    expected = knn_predictions(embeddings, targets)
    np.testing.assert_allclose(knn_predictions(embeddings * 10.0**exponent, targets), expected, atol=1e-12)
    each = np.random.default_rng(seed).uniform(0.01, 100, size=(25, 1))
    np.testing.assert_allclose(knn_predictions(embeddings * each, targets), expected, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 24), temperature=st.floats(0.05, 5))
def test_permuting_rows_permutes_predictions(seed, k, temperature):
    embeddings, targets = random_rows(seed, m=25, d=4)
    order = np.random.default_rng(seed).permutation(25)
    expected = knn_predictions(embeddings, targets, k, temperature)[order]
    ours = knn_predictions(embeddings[order], targets[order], k, temperature)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    constant=st.floats(-1e6, 1e6),
    seed=st.integers(0, 10**6),
    temperature=st.floats(1e-4, 1e4),
    k=st.integers(1, 9),
)
def test_constant_targets_are_predicted_exactly(constant, seed, temperature, k):
    ours = knn_predictions(random_rows(seed, m=10)[0], np.full(10, constant), k, temperature)
    np.testing.assert_allclose(ours, constant, rtol=1e-14, atol=1e-300)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100), factor=st.floats(-100, 100))
def test_predictions_follow_the_unit_of_the_targets(seed, shift, factor):
    embeddings, targets = random_rows(seed, m=15)
    expected = factor * knn_predictions(embeddings, targets) + shift
    ours = knn_predictions(embeddings, factor * targets + shift)
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


def test_temperature_goes_from_the_nearest_row_to_the_plain_mean():
    embeddings, targets = random_rows(5)
    nearest = nearest_rows(embeddings, 5).indices
    cold = knn_predictions(embeddings, targets, temperature=1e-7)
    hot = knn_predictions(embeddings, targets, temperature=1e12)
    np.testing.assert_allclose(cold, targets[nearest[:, 0]], rtol=1e-9)
    np.testing.assert_allclose(hot, targets[nearest].mean(axis=1), rtol=1e-9)


def test_tensors_lists_and_integers_are_taken():
    embeddings, targets = random_rows(2, m=8)
    embeddings = (10 * embeddings).round()
    expected = knn_predictions(embeddings, targets, 2)
    tensor = torch.tensor(embeddings, requires_grad=True)
    for given_rows in (
        tensor,
        embeddings.astype(np.int64),
        embeddings.tolist(),
        torch.tensor(embeddings).float(),
    ):
        np.testing.assert_allclose(knn_predictions(given_rows, targets.tolist(), 2), expected, atol=1e-12)


ROWS, TARGETS = np.eye(6), np.arange(6.0)


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("embeddings", "targets", "options", "words"),
    [
        (ROWS, TARGETS, {"k": 6}, r"K = 6 neighbours need at least 7 training structures, but there are 6"),
        (ROWS, TARGETS, {"k": 100}, r"at least 101 training structures"),
        (ROWS[:1], TARGETS[:1], {"k": 1}, r"need at least 2 training structures, but there is 1"),
        (ROWS, TARGETS, {"k": 0}, r"K must be at least 1, not 0"),
        (ROWS, TARGETS, {"k": -3}, r"K must be at least 1, not -3"),
        (ROWS, TARGETS, {"temperature": 0}, r"temperature T must be positive, not 0"),
        (ROWS, TARGETS, {"temperature": -0.2}, r"must be positive, not -0.2"),
        (ROWS, TARGETS, {"temperature": math.nan}, r"must be positive, not nan"),
        (changed(ROWS, 3, 0), TARGETS, {}, r"embedding of row 3 is zero or not finite \(1 such rows\)"),
        (changed(ROWS, (4, 2), np.nan), TARGETS, {}, r"row 4 is zero or not finite"),
        (changed(ROWS, (2, 0), np.inf), TARGETS, {}, r"row 2 is zero or not finite"),
        (ROWS, changed(TARGETS, 1, np.nan), {}, r"targets must be a list of finite numbers"),
        (ROWS, changed(TARGETS, 1, -np.inf), {}, r"targets must be a list of finite numbers"),
        (ROWS, TARGETS[:, None], {}, r"targets must be a list of finite numbers"),
        (ROWS, TARGETS[:5], {}, r"6 embeddings but 5 targets"),
        (ROWS[0], TARGETS, {}, r"table \[rows, features\], not of shape \(6,\)"),
        (ROWS[None], TARGETS, {}, r"table \[rows, features\], not of shape \(1, 6, 6\)"),
        (np.zeros((6, 0)), TARGETS, {}, r"must have rows and features"),
        (np.zeros((0, 6)), TARGETS[:0], {}, r"must have rows and features"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(embeddings, targets, options, words):
    with pytest.raises(InputError, match=words) as caught:
        knn_predictions(embeddings, targets, **{"k": 5, **options})
    assert "\n" not in str(caught.value)


@given(m=st.integers(1, 3000), n=st.integers(1, 20))
def test_parts_meet_each_other_once_and_no_part_twice_at_a_time(m, n):
    parts = nearest_kernel._parts(m, n)
    assert [start for start, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == m
    rounds = list(nearest_kernel._rounds(parts))
    assert rounds[0] == [(part, part) for part in parts]
    met = [frozenset(pair) for blocks in rounds[1:] for pair in blocks]
    assert len(met) == len(set(met)) == len(parts) * (len(parts) - 1) // 2
    for blocks in rounds[1:]:
        busy = [part for pair in blocks for part in pair]
        assert len(busy) == len(set(busy))


def test_threads_do_not_change_the_result():
    rows = random_rows(9, 3000, 24)[0]
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(nearest_rows(rows, 5))
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
