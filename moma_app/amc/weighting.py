"""How a composition's weights are chosen: by AMC, or by one of the simpler rules that it is compared with.

The rules (:data:`moma_app.choices.Weighting`) are those of the ablation in the MoMa paper (Figure 4). Each
gives convex weights, so that everything after them (merging, readout, fine-tuning) is the same for all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moma_app.amc.weights import WeightSolution, optimize_weights
from moma_app.choices import Weighting
from moma_app.errors import InputError, UnknownNameError

WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)


def weigh(
    predictions: ArrayLike,
    targets: ArrayLike,
    weighting: Weighting = "amc",
    *,
    names: Sequence[str],
    draw: Sequence[int] = (0,),
) -> WeightSolution:
    """Choose composition weights.

    The result does not depend on the order of the modules.

    Args:
        predictions: kNN estimates, one column per module, [m, N].
        targets: [m].
        weighting: the rule.
        names: of the modules, [N]; what is drawn, and which of two equally good modules counts, goes
            by them.
        draw: non-negative numbers that seed ``random``.

    Returns:
        The weights, and the mean squared error of the weighted prediction under them.

    Raises:
        UnknownNameError: there is no such rule.
        InputError: shapes do not agree, a target is not finite, or no module is usable.
    """
    if weighting not in WEIGHTINGS:
        raise UnknownNameError("weighting", str(weighting), WEIGHTINGS)
    solution = optimize_weights(predictions, targets)
    if len(names) != len(solution.weights):
        raise InputError(f"{len(names)} names were given for {len(solution.weights)} modules.")
    if weighting == "amc":
        return solution
    table = np.asarray(predictions, dtype=np.float64)
    values = np.asarray(targets, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.abs(table - values[:, None]).mean(axis=0)
    chosen = _choose(weighting, solution, errors, names, draw)
    weights = chosen / chosen.sum()
    residual = table[:, chosen] @ weights[chosen] - values
    return dataclasses.replace(
        solution, weights=weights, objective=float(np.mean(residual**2)), status=weighting
    )


def _choose(
    weighting: Weighting,
    solution: WeightSolution,
    errors: NDArray[np.float64],
    names: Sequence[str],
    draw: Sequence[int],
) -> NDArray[np.bool_]:
    """Return which modules share the weight equally, bool [N]."""
    selected = solution.weights > 0
    if weighting == "select-average":
        return selected
    if weighting == "all-average":
        return solution.included
    usable = [i for i in sorted(range(len(names)), key=names.__getitem__) if solution.included[i]]
    chosen = np.zeros(len(names), dtype=bool)
    if weighting == "random":
        count = int(selected.sum())
        chosen[np.random.default_rng(list(draw)).choice(usable, size=count, replace=False)] = True
    else:  # best-single; of equally good ones the first by name
        chosen[min(usable, key=lambda i: float(errors[i]))] = True
    return chosen
