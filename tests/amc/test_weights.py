"""Eq. 2-3: weights on the simplex, against the authors' numbers, other solvers, and what must hold."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import nnls

from moma_app.amc import weights as weights_module
from moma_app.amc.weights import NEGLIGIBLE, minimize_on_simplex, optimize_weights
from moma_app.errors import InputError

TASKS = ("mp_phonons", "mp_poisson_ratio", "mp_poly_total")


@pytest.mark.parametrize("cap", ["cap800", "full"])
@pytest.mark.parametrize("temperature", ["T0.2", "T1"])
@pytest.mark.parametrize("task", TASKS)
def test_the_authors_weights(reference, task, temperature, cap):
    rows = 800 if cap == "cap800" else None
    predictions = reference(task, f"pred_{temperature}").T[:rows]
    solution = optimize_weights(predictions, reference(task, "label")[:rows])
    np.testing.assert_allclose(solution.weights, reference(task, f"w_{temperature}_{cap}"), rtol=0, atol=1e-8)
    assert solution.objective == pytest.approx(
        reference.tasks[task][temperature][cap]["objective"], abs=1e-10
    )
    assert solution.status == "optimal"


def instance(seed, m=40, n=6, skill=0.5):
    random = np.random.default_rng(seed)
    targets = random.normal(size=m)
    return skill * targets[:, None] + 0.7 * random.normal(size=(m, n)), targets


def mean_squared_error(predictions, targets, weights):
    return float(np.mean((predictions @ weights - targets) ** 2))


def kkt_residual(predictions, targets, weights):
    """How far from optimal: 0 if no share moved from one module to another would help."""
    errors = predictions - targets[:, None]
    gradient = 2 * errors.T @ (errors @ weights) / len(targets)
    level = weights @ gradient
    return max(float((level - gradient).max()), float(np.abs(gradient - level)[weights > 0].max()))


numbers = st.floats(-10, 10, allow_nan=False, width=32)


@st.composite
def problems(draw, max_modules=8):
    """Predictions and targets, with repeated, linearly dependent and constant columns among them."""
    m, n = draw(st.integers(1, 12)), draw(st.integers(1, max_modules))
    elements = draw(st.sampled_from([numbers, st.integers(-2, 2)]))
    predictions = draw(arrays.arrays(np.float64, (m, n), elements=elements))
    targets = draw(arrays.arrays(np.float64, (m,), elements=elements))
    return predictions, targets


any_problem = settings(deadline=None, max_examples=80)


@any_problem
@given(problems())
def test_weights_lie_on_the_simplex_and_meet_the_optimality_conditions(problem):
    predictions, targets = problem
    solution = optimize_weights(predictions, targets)
    assert (solution.weights >= 0).all()
    assert solution.weights.sum() == pytest.approx(1, abs=1e-12)
    assert not ((solution.weights > 0) & (solution.weights < NEGLIGIBLE)).any()
    assert solution.objective == pytest.approx(
        mean_squared_error(predictions, targets, solution.weights), abs=1e-12
    )
    raw, _ = minimize_on_simplex(gram_of(predictions, targets))
    assert kkt_residual(predictions, targets, raw) < 1e-8


@any_problem
@given(problems())
def test_no_single_module_and_no_plain_average_is_better(problem):
    predictions, targets = problem
    objective = optimize_weights(predictions, targets).objective
    n = predictions.shape[1]
    for weights in (*np.eye(n), np.full(n, 1 / n)):
        assert objective <= mean_squared_error(predictions, targets, weights) + 1e-9


@any_problem
@given(problems(), st.integers(0, 10**6))
def test_adding_a_module_never_worsens_the_objective(problem, seed):
    predictions, targets = problem
    added = np.random.default_rng(seed).normal(size=len(targets)) * 3
    before = optimize_weights(predictions, targets).objective
    after = optimize_weights(np.column_stack([predictions, added]), targets).objective
    assert after <= before + 1e-9


@any_problem
@given(problems(), st.integers(0, 10**6))
def test_permuting_modules_permutes_weights(problem, seed):
    predictions, targets = problem
    order = np.random.default_rng(seed).permutation(predictions.shape[1])
    weights = optimize_weights(predictions, targets).weights
    permuted = optimize_weights(predictions[:, order], targets).weights
    np.testing.assert_allclose(permuted, weights[order], rtol=0, atol=1e-14)


@any_problem
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 11))
def test_a_perfect_module_gets_weight_one(seed, n, place):
    predictions, targets = instance(seed, n=n)
    place %= n
    predictions[:, place] = targets
    solution = optimize_weights(predictions, targets)
    assert solution.weights.tolist() == np.eye(n)[place].tolist()
    assert solution.objective == 0


def test_perfect_modules_share():
    predictions, targets = instance(0)
    predictions[:, [1, 4]] = targets[:, None]
    assert optimize_weights(predictions, targets).weights.tolist() == [0, 0.5, 0, 0, 0.5, 0]


@any_problem
@given(problems(max_modules=4), st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_modules_that_predict_the_same_get_the_same_weight(problem, repeated):
    predictions, targets = problem
    repeated = [column % predictions.shape[1] for column in repeated]
    wide = np.column_stack([predictions, predictions[:, repeated]])
    weights = optimize_weights(wide, targets).weights
    for extra, column in enumerate(repeated, predictions.shape[1]):
        assert weights[extra] == weights[column]


def test_duplicates_share_what_one_of_them_would_get():
    predictions, targets = instance(4)
    alone = optimize_weights(predictions, targets)
    tripled = optimize_weights(np.column_stack([predictions, predictions, predictions[:, :1]]), targets)
    shares = np.bincount([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0], tripled.weights)
    np.testing.assert_allclose(shares, alone.weights, rtol=0, atol=1e-9)
    assert tripled.weights[0] == pytest.approx(alone.weights[0] / 3)
    assert tripled.objective == pytest.approx(alone.objective, abs=1e-13)


@any_problem
@given(
    st.integers(0, 10**6),
    st.floats(-100, 100),
    st.floats(-6, 6),
    st.sampled_from([-1.0, 1.0]),
)
def test_the_unit_of_the_targets_does_not_matter(seed, shift, exponent, sign):
    predictions, targets = instance(seed)
    factor = sign * 10**exponent
    here = optimize_weights(predictions, targets)
    shift *= abs(factor)
    there = optimize_weights(factor * predictions + shift, factor * targets + shift)
    np.testing.assert_allclose(there.weights, here.weights, rtol=0, atol=1e-8)
    assert there.objective == pytest.approx(factor**2 * here.objective, rel=1e-9)


def projected_gradient(gram, steps=20000):
    """Another way to the same minimum: accelerated gradient steps, projected onto the simplex."""
    n = len(gram)
    weights = ahead = np.full(n, 1 / n)
    length, momentum = 1 / (2 * np.linalg.eigvalsh(gram)[-1]), 1.0
    for _ in range(steps):
        moved = ahead - length * 2 * gram @ ahead
        ordered = np.sort(moved)[::-1]
        excess = (np.cumsum(ordered) - 1) / np.arange(1, n + 1)
        following = np.maximum(moved - excess[np.nonzero(ordered > excess)[0][-1]], 0)
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / faster * (following - weights)
        weights, momentum = following, faster
    return weights


def gram_of(predictions, targets):
    errors = predictions - targets[:, None]
    return errors.T @ errors / len(targets)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_projected_gradient_descent(seed):
    predictions, targets = instance(seed, m=50, n=8)
    ours = optimize_weights(predictions, targets)
    np.testing.assert_allclose(
        ours.weights, projected_gradient(gram_of(predictions, targets)), rtol=0, atol=1e-7
    )


@pytest.mark.parametrize(("m", "n"), [(30, 5), (10, 18), (200, 18), (5, 40), (60, 100)])
def test_agrees_with_nonnegative_least_squares(m, n):
    """With a heavy row of ones for the sum, scipy's solver of |Ax - b|, x >= 0 solves it too."""
    for seed in range(5):
        predictions, targets = instance(seed, m, n)
        heavy = 1e4
        other, _ = nnls(np.vstack([predictions - targets[:, None], np.full(n, heavy)]), [*np.zeros(m), heavy])
        ours = optimize_weights(predictions, targets)
        theirs = mean_squared_error(predictions, targets, other / other.sum())
        assert ours.objective == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("skill", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("m", [50, 400])
def test_three_hundred_modules(m, skill):
    for seed in range(3):
        predictions, targets = instance(seed, m, 300, skill)
        solution = optimize_weights(predictions, targets)
        assert kkt_residual(predictions, targets, solution.weights) < 1e-8


@pytest.mark.parametrize("spread", [1.0, 0.3, 1e-2])
@pytest.mark.parametrize("m", [200, 1500])
def test_a_thousand_modules_with_errors_in_common(m, spread):
    random = np.random.default_rng(1)
    targets = random.normal(size=m)
    predictions = (targets + 0.5 * random.normal(size=m))[:, None] + spread * random.normal(size=(m, 1000))
    started = time.process_time()
    solution = optimize_weights(predictions, targets)
    assert time.process_time() - started < 5
    assert kkt_residual(predictions, targets, solution.weights) < 1e-8


@any_problem
@given(problems(max_modules=20))
def test_pivoting_in_blocks_changes_nothing_but_the_time(problem):
    """Where several weightings are equally good the two may end at others of them."""
    predictions, targets = problem
    here = optimize_weights(predictions, targets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights_module, "PIVOTS", 0)
        there = optimize_weights(predictions, targets)
    assert here.objective == pytest.approx(there.objective, abs=1e-9)


def test_minus_zero_and_zero_are_the_same_prediction():
    solution = optimize_weights([[0.0, -0.0, 3.0], [1.0, 1.0, 0.0]], [0.0, 0.0])
    assert solution.weights[0] == solution.weights[1] > 0


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7, 1e-9, 1e-11])
def test_modules_that_predict_almost_the_same(distance):
    for seed in range(10):
        predictions, targets = instance(seed, n=5)
        noise = np.random.default_rng(seed).normal(size=predictions.shape)
        wide = np.column_stack([predictions, predictions + distance * noise])
        assert kkt_residual(wide, targets, optimize_weights(wide, targets).weights) < 1e-8


def test_interpolation_with_few_rows():
    """With fewer rows than modules the modules may fit the targets exactly, in many ways."""
    random = np.random.default_rng(0)
    fitted = 0
    for _ in range(20):
        targets = random.normal(size=4)
        predictions = targets[:, None] + random.normal(size=(4, 18))
        solution = optimize_weights(predictions, targets)
        assert kkt_residual(predictions, targets, solution.weights) < 1e-8
        fitted += solution.objective < 1e-20
    assert fitted > 15


@pytest.mark.parametrize("size", [1e7, 1e12, 1e100])
def test_one_absurd_module_does_not_disturb_the_others(size):
    """Its best weight is tiny, hence set to zero; the others must get what they get without it."""
    for seed in range(10):
        predictions, targets = instance(seed)
        absurd = np.random.default_rng(seed).choice([-size, size], size=len(targets))
        alone = optimize_weights(predictions, targets)
        together = optimize_weights(np.column_stack([absurd, predictions]), targets)
        assert together.weights[0] == 0
        np.testing.assert_allclose(together.weights[1:], alone.weights, rtol=0, atol=1e-12)
        assert together.included.all()


class TestNotFinite:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
    def test_a_module_with_such_a_prediction_is_left_out(self, value):
        predictions, targets = instance(0)
        without = optimize_weights(np.delete(predictions, 2, axis=1), targets)
        predictions[7, 2] = value
        solution = optimize_weights(predictions, targets)
        assert solution.included.tolist() == [True, True, False, True, True, True]
        assert solution.weights[2] == 0
        assert np.delete(solution.weights, 2).tolist() == without.weights.tolist()
        assert solution.objective == without.objective

    def test_no_usable_module_is_an_error(self):
        predictions, targets = instance(0)
        predictions[3] = np.nan
        with pytest.raises(InputError, match="No module gives finite predictions"):
            optimize_weights(predictions, targets)

    def test_a_target_that_is_not_finite_is_an_error(self):
        predictions, targets = instance(0)
        targets[3] = np.nan
        with pytest.raises(InputError, match="targets hold a value that is not finite"):
            optimize_weights(predictions, targets)


@pytest.mark.parametrize(
    ("predictions", "targets"),
    [((5,), (5,)), ((5, 2), (4,)), ((5, 2), (5, 1)), ((5, 0), (5,)), ((0, 3), (0,))],
)
def test_shapes_that_do_not_fit_are_refused(predictions, targets):
    with pytest.raises(InputError, match=r"Predictions must be \[rows, modules\]"):
        optimize_weights(np.zeros(predictions), np.zeros(targets))


def test_a_single_module_gets_all_the_weight():
    predictions, targets = instance(0, n=1)
    solution = optimize_weights(predictions, targets)
    assert solution.weights.tolist() == [1.0]
    assert solution.objective == mean_squared_error(predictions, targets, solution.weights)


def test_a_single_row():
    between = optimize_weights([[0.0, 2.0, 5.0]], [1.5])
    assert between.objective < 1e-20
    outside = optimize_weights([[0.0, 2.0, 5.0]], [6.0])
    assert outside.weights.tolist() == [0, 0, 1]


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 10**6))
def test_a_singular_gram_matrix(n, rank, seed):
    factor = np.random.default_rng(seed).normal(size=(min(n, rank), n))
    gram = factor.T @ factor
    weights, status = minimize_on_simplex(gram)
    assert status == "optimal"
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    gradient = gram @ weights
    assert weights @ gradient - gradient.min() < 1e-9 * max(1, np.trace(gram))
    if rank == 0:
        np.testing.assert_allclose(weights, 1 / n)


def test_a_weight_below_the_threshold_goes_to_the_others():
    """The third module would get 1e-7: it is dropped, and the other two are solved for again."""
    gram = np.array([[1.0, 0.2, 0.0], [0.2, 1.5, 0.0], [0.0, 0.0, 5e6]])
    factor = np.linalg.cholesky(gram).T * np.sqrt(3)
    raw, _ = minimize_on_simplex(gram)
    assert 0 < raw[2] < NEGLIGIBLE
    weights = optimize_weights(factor, np.zeros(3)).weights
    pair = optimize_weights(factor[:, :2], np.zeros(3)).weights
    assert weights.tolist() == [*pair.tolist(), 0.0]


@settings(deadline=None, max_examples=30)
@given(problems())
def test_arguments_are_not_changed(problem):
    predictions, targets = problem
    copies = predictions.copy(), targets.copy()
    optimize_weights(predictions, targets)
    assert np.array_equal(predictions, copies[0])
    assert np.array_equal(targets, copies[1])
    assume(predictions.shape[1] > 1)
    gram = gram_of(predictions, targets)
    before = gram.copy()
    minimize_on_simplex(gram)
    assert np.array_equal(gram, before)


def test_cvxpy_finds_the_same_weights():
    """The problem as the paper writes it, solved by a general convex solver."""
    generator = np.random.default_rng(5)
    for n in (2, 6, 18):
        targets = generator.normal(size=200)
        predictions = targets[:, None] + generator.normal(size=(200, n)) * (0.5 + generator.random(n))
        ours = optimize_weights(predictions, targets)
        theirs = optimize_weights(predictions, targets, solver="cvxpy")
        np.testing.assert_allclose(theirs.weights, ours.weights, atol=1e-5)
        assert ours.objective <= theirs.objective + 1e-12
