"""A composition with another K, T or set of modules, from its stored neighbours: no encoding, no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from moma_app.amc.neighbours import propagate
from moma_app.amc.result import AMCResult, ModuleScore
from moma_app.amc.scoring import proxy_errors, standardise
from moma_app.amc.stored import StoredNeighbours
from moma_app.amc.weighting import weigh
from moma_app.errors import IncompatibleError, InputError, UnknownNameError


def reweigh(
    stored: StoredNeighbours,
    result: AMCResult,
    *,
    k: int | None = None,
    temperature: float | None = None,
    modules: Sequence[str] | None = None,
) -> AMCResult:
    """Return the result that a new composition with these settings would have (Eq. 1-3).

    Args:
        stored: neighbours that the composition kept.
        result: of that composition.
        k, temperature: of Eq. 1; by default those of ``result``.
        modules: names of the modules to consider; by default all of ``result``.

    Returns:
        Errors, weights and objective as :func:`moma_app.amc.compose.compose` finds them from the same
        embeddings; the modules are in the order of ``result``.

    Raises:
        InputError: no module is left, T is not positive, or K is larger than what was kept.
        UnknownNameError: a module took no part in the composition.
        IncompatibleError: the neighbours are of another composition.
    """
    _check_same(stored, result)
    k = result.k if k is None else k
    temperature = result.temperature if temperature is None else temperature
    chosen = _chosen(result, modules)
    targets = np.array(result.train_targets, dtype=np.float64)
    scale = standardise(targets)
    estimates = [propagate(stored.nearest(score.module, k), scale.values, temperature) for score in chosen]
    solution = weigh(
        np.stack(estimates, axis=1),
        scale.values,
        result.weighting,
        names=[score.module for score in chosen],
        draw=(result.seed, result.split, *result.task.encode()),
    )
    scores = [
        replace(score, weight=weight, **proxy_errors(estimate, targets, scale))
        for score, estimate, weight in zip(chosen, estimates, solution.weights.tolist(), strict=True)
    ]
    return replace(
        result,
        modules=scores,
        objective=solution.objective,
        status=solution.status,
        k=k,
        temperature=temperature,
    )


def _chosen(result: AMCResult, names: Sequence[str] | None) -> list[ModuleScore]:
    if names is None:
        return result.modules
    known = {score.module for score in result.modules}
    for name in names:
        if name not in known:
            raise UnknownNameError("module in this composition", name, known)
    if not names:
        raise InputError("No module is left to compose: switch one on.")
    wanted = set(names)
    return [score for score in result.modules if score.module in wanted]


def _check_same(stored: StoredNeighbours, result: AMCResult) -> None:
    kept = dict(zip(stored.modules, stored.sha256, strict=True))
    same_modules = all(kept.get(score.module) == score.sha256 for score in result.modules)
    same_rows = list(stored.ids) == result.train_ids and stored.targets.tolist() == result.train_targets
    if not (stored.task == result.task and same_modules and same_rows):
        raise IncompatibleError(
            f"The stored neighbours (task {stored.task}, {len(stored.ids)} rows) are not of this composition "
            f"(task {result.task}, {len(result.train_ids)} rows): compose anew."
        )
