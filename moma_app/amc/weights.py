"""Eq. 2-3 of the MoMa paper: convex weights that make the modules' joint prediction best.

    minimise  (1/m) |Y w - y|²   subject to  w >= 0,  sum(w) = 1

Because the weights sum to one, Y w - y = (Y - y 1ᵀ) w, so only the N x N Gram matrix of the
modules' errors enters: the time to solve does not depend on the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moma_app.errors import InputError, MomaError

NEGLIGIBLE = 1e-6
"""Weights under this are set to zero and the others rescaled."""


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


def optimize_weights(predictions: ArrayLike, targets: ArrayLike) -> WeightSolution:
    """Find the convex combination of predictions with the least squared error (MoMa, Eq. 2-3).

    Args:
        predictions: one column per module, [m, N].
        targets: [m].

    Returns:
        The solution. Where several weightings are equally good (two modules that predict the
        same), the one with the smallest norm is returned, so that equals get equal weights.

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
    included = np.asarray(np.isfinite(table).all(axis=0), dtype=bool)
    if not included.any():
        raise InputError("No module gives finite predictions for this task.")
    errors = table[:, included] - values[:, None]
    gram = errors.T @ errors / len(values)
    best, status = minimize_on_simplex(gram)
    weights = np.zeros(table.shape[1])
    weights[included] = best
    residual = table[:, included] @ best - values
    return WeightSolution(weights, float(np.mean(residual**2)), status, included)


def minimize_on_simplex(gram: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Minimise wᵀ G w over the simplex for a positive semi-definite G [N, N].

    cvxpy finds which modules carry weight; on those, the optimality conditions are linear and
    are solved directly, which takes the weights from the solver's tolerance to rounding error.

    Returns:
        The weights, float64 [N], and the solver's status.

    Raises:
        MomaError: the solver failed.
    """
    import cvxpy as cp

    n = len(gram)
    if n == 1:
        return np.ones(1), "optimal"
    scale = float(np.trace(gram)) / n
    if scale == 0:  # every module is perfect
        return np.full(n, 1 / n), "optimal"
    scaled = (gram + gram.T) / (2 * scale)
    variable = cp.Variable(n, nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.quad_form(variable, cp.psd_wrap(scaled))), [cp.sum(variable) == 1])
    tight: dict[str, Any] = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
    try:
        problem.solve(solver=cp.CLARABEL, **tight)
    except cp.SolverError as exc:
        raise MomaError(f"The weights could not be found: the solver failed ({exc}).") from exc
    if variable.value is None:
        raise MomaError(f"The weights could not be found: the solver says {problem.status!r}.")
    weights = _normalise(np.asarray(variable.value))
    return _polish(scaled, weights), str(problem.status)


def _normalise(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.where(weights < NEGLIGIBLE, 0.0, weights)
    result: NDArray[np.float64] = kept / kept.sum()
    return result


def _polish(gram: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve the optimality conditions on the support of ``weights``; keep the result if it is better."""
    support = np.flatnonzero(weights)
    k = len(support)
    system = np.ones((k + 1, k + 1))
    system[:k, :k] = 2 * gram[np.ix_(support, support)]
    system[k, k] = 0.0
    right = np.zeros(k + 1)
    right[k] = 1.0
    exact = np.linalg.lstsq(system, right, rcond=None)[0][:k]
    if not np.isfinite(exact).all() or (exact < 0).any() or exact.sum() <= 0:
        return weights
    polished = np.zeros_like(weights)
    polished[support] = exact / exact.sum()
    polished = _normalise(polished)
    return polished if polished @ gram @ polished <= weights @ gram @ weights + 1e-14 else weights
