"""Eq. 2-3 of the MoMa paper: convex weights that make the modules' joint prediction best.

    minimise  (1/m) |Y w - y|²   subject to  w >= 0,  sum(w) = 1

Because the weights sum to one, Y w - y = (Y - y 1ᵀ) w, so only the N x N Gram matrix of the
modules' errors enters: the time to solve does not depend on the number of rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moma_app.errors import InputError, MomaError

Solver = Literal["active-set", "cvxpy"]

NEGLIGIBLE = 1e-6
"""Weights under this are set to zero, and the others solved for anew."""
RIDGE = 1e-12
"""Added to the diagonal, in units of the best module's error: of equally good weightings take a small one."""
TOLERANCE = 1e-13
"""Optimality conditions are met to this, in units of the errors of best and other module."""

PIVOTS = 100
"""Steps of block pivoting at most."""
PATIENCE = 3
"""Steps of block pivoting that need not be progress."""


@dataclass(frozen=True)
class WeightSolution:
    """Optimal composition weights.

    Attributes:
        weights: float64 [N], each >= 0, with sum 1.
        objective: mean squared error of the weighted prediction, in the squared unit of the targets.
        status: what the solver said.
        included: which modules took part; one with a non-finite prediction does not, bool [N].
    """

    weights: NDArray[np.float64]
    objective: float
    status: str
    included: NDArray[np.bool_]


def optimize_weights(
    predictions: ArrayLike, targets: ArrayLike, solver: Solver = "active-set"
) -> WeightSolution:
    """Find the convex combination of predictions with the least squared error (MoMa, Eq. 2-3).

    Args:
        predictions: one column per module, [m, N].
        targets: [m].
        solver: ``active-set`` is exact to rounding error and does not depend on the order of the
            modules; ``cvxpy`` solves the same problem by CLARABEL, to about 1e-8.

    Returns:
        The solution, which does not depend on the order of the modules. Where several weightings
        are equally good, it is one of small norm; modules that predict the same get the same
        weight.

    Raises:
        InputError: shapes do not agree, a target is not finite, or no module is usable.
    """
    table = np.asarray(predictions, dtype=np.float64)
    values = np.asarray(targets, dtype=np.float64)
    if table.ndim != 2 or values.shape != (len(table),) or not table.size:
        raise InputError(
            f"Predictions must be [rows, modules] and targets [rows], not {table.shape} and {values.shape}."
        )
    if not np.isfinite(values).all():
        raise InputError("The targets hold a value that is not finite.")
    errors = np.array(table.T, order="C")  # a copy, one row per module
    with np.errstate(over="ignore", invalid="ignore"):
        errors -= values
        included = np.asarray(np.isfinite(np.einsum("nm,nm->n", errors, errors)), dtype=bool)
    if not included.any():
        raise InputError("No module gives finite predictions for this task.")
    firsts, owner, copies = _distinct_rows(errors, included)
    errors = errors[firsts]
    gram = errors @ errors.T / len(values)
    kept = np.arange(len(gram))
    while True:  # what a negligible module did, for which it was far off elsewhere, others must do
        minimize = minimize_on_simplex if solver == "active-set" else minimize_with_cvxpy
        best, status = minimize(gram[np.ix_(kept, kept)])
        shares = best / copies[kept]
        dropped = (shares > 0) & (shares < min(NEGLIGIBLE, shares.max()))
        if not dropped.any():
            break
        kept = kept[~dropped]
    share_of_module = np.zeros(len(gram))
    share_of_module[kept] = shares
    weights = np.zeros(table.shape[1])
    weights[included] = share_of_module[owner]
    residual = table[:, included] @ weights[included] - values
    return WeightSolution(weights, float(np.mean(residual**2)), status, included)


def _distinct_rows(
    rows: NDArray[np.float64], included: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Find equal rows, and an order of the others that depends on nothing but their content.

    Modules in that order, and without repetitions, give the same result in whatever order they come.

    Args:
        rows: [N, m].
        included: which to look at, bool [N].

    Returns:
        The distinct rows' numbers; for each included row its place among these; and how often
        each occurs.
    """
    rows += 0.0  # makes -0 a 0, which has other bytes
    numbers = np.flatnonzero(included)
    digests = [hashlib.blake2b(rows[number].data, digest_size=16).hexdigest() for number in numbers]
    _, firsts, owner, copies = np.unique(digests, return_index=True, return_inverse=True, return_counts=True)
    return numbers[firsts], owner.reshape(-1), copies


def minimize_on_simplex(gram: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Minimise wᵀ G w over the simplex for a positive semi-definite G [N, N].

    The direction of the minimum is that of the u >= 0 which minimises uᵀ G u + c (sum(u) - 1)²,
    whatever c > 0 is. That problem has no constraint but u >= 0, and an active-set method
    (Lawson and Hanson, Solving Least Squares Problems, chapter 23) finds the modules that carry
    weight, and their weights to rounding error, in finitely many steps.

    Returns:
        The weights, float64 [N], and the solver's status.

    Raises:
        MomaError: no solution was found.
    """
    errors = np.diag(gram)
    best = float(errors.min())
    if best <= 0:  # a perfect module needs no other
        perfect = errors <= 0
        return perfect / perfect.sum(), "optimal"
    hessian = (gram + gram.T) / (2 * best) + 1.0 + RIDGE * np.eye(len(gram))
    scale = 1 / np.sqrt(np.diag(hessian))  # a module with huge errors must not drown the others
    hessian *= np.outer(scale, scale)
    np.fill_diagonal(hessian, 1.0 + RIDGE / 100)  # never quite singular, whatever the scales are
    weights = scale * _minimize_nonnegative(hessian, scale)
    result: NDArray[np.float64] = weights / weights.sum()
    return result, "optimal"


def minimize_with_cvxpy(gram: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Minimise wᵀ G w over the simplex with cvxpy, as the problem is written in the paper.

    An independent check of :func:`minimize_on_simplex`, and the place to add constraints.

    Returns:
        The weights, float64 [N], and the solver's status.

    Raises:
        MomaError: the solver failed.
    """
    import cvxpy as cp

    scaled = (gram + gram.T) / (2 * max(float(np.trace(gram)) / len(gram), np.finfo(float).tiny))
    weights = cp.Variable(len(gram), nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.quad_form(weights, cp.psd_wrap(scaled))), [cp.sum(weights) == 1])
    try:
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    except cp.SolverError as exc:
        raise MomaError(f"The weights could not be found: the solver failed ({exc}).") from exc
    if weights.value is None:
        raise MomaError(f"The weights could not be found: the solver says {problem.status!r}.")
    found: NDArray[np.float64] = np.maximum(np.asarray(weights.value, dtype=np.float64), 0.0)
    return found / found.sum(), str(problem.status)


def _minimize_nonnegative(hessian: NDArray[np.float64], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimise uᵀHu/2 - cᵀu over u >= 0, for a positive definite H [N, N] with a diagonal of ones.

    Lawson and Hanson's method, started where block pivoting ended: most often at the solution.
    """
    n = len(linear)
    solution = _block_pivoting(hessian, linear)
    free = solution > 0
    for _ in range(100 + 10 * n):
        trial = _solve_free(hessian, linear, free)
        while (trial[free] <= 0).any():  # go towards the trial until a variable becomes zero
            blocking = free & (trial <= 0)
            steps = np.full(n, np.inf)
            steps[blocking] = solution[blocking] / (solution[blocking] - trial[blocking])
            first = int(np.argmin(steps))
            solution += steps[first] * (trial - solution)
            solution[first] = 0.0
            free &= solution > 0
            solution[~free] = 0.0
            trial = _solve_free(hessian, linear, free)
        solution = trial
        descent = linear - hessian @ solution
        descent[free] = 0.0
        while True:  # let that variable grow which helps most
            entering = int(np.argmax(descent))
            if descent[entering] <= TOLERANCE:
                return solution
            free[entering] = True
            if _solve_free(hessian, linear, free)[entering] > 0:
                break
            free[entering] = False  # its gain was a rounding error
            descent[entering] = 0.0
    raise MomaError("The weights could not be found: the solver does not converge on these predictions.")


def _block_pivoting(hessian: NDArray[np.float64], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Guess the solution of :func:`_minimize_nonnegative`: many variables enter and leave at a time.

    Block principal pivoting (Kim and Park, Fast Nonnegative Matrix Factorization, SIAM J. Sci.
    Comput. 33, 2011, algorithm 2). It needs few steps where the other method needs one for each
    variable, but rounding errors may keep it from an end: it then returns the best it saw.

    Returns:
        A point of non-negative coordinates, float64 [N].
    """
    n = len(linear)
    free = np.zeros(n, dtype=bool)
    solution = best = np.zeros(n)
    fewest, patience = n + 1, PATIENCE
    for _ in range(PIVOTS):
        wrong = np.where(free, solution <= 0, linear - hessian @ solution > 100 * TOLERANCE)
        count = int(wrong.sum())
        if count < fewest:
            fewest, patience, best = count, PATIENCE, solution
        elif patience:
            patience -= 1
        else:  # exchange one only, which comes to an end in exact arithmetic
            wrong[: np.flatnonzero(wrong)[-1]] = False
        if not count:
            break
        free ^= wrong
        solution = _solve_free(hessian, linear, free)
    return np.maximum(best, 0.0)


def _solve_free(
    hessian: NDArray[np.float64], linear: NDArray[np.float64], free: NDArray[np.bool_]
) -> NDArray[np.float64]:
    solution = np.zeros(len(linear))
    solution[free] = np.linalg.solve(hessian[np.ix_(free, free)], linear[free])
    return solution
