"""From embeddings to composition weights: kNN estimate of every module, then the quadratic programme."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.amc.knn import knn_predictions
from moma_app.amc.weights import optimize_weights
from moma_app.bench.job import Job
from moma_app.bench.sizes import required
from moma_app.bench.work.base import Work
from moma_app.bench.work.embeddings import made_up_embeddings

K = 5
TEMPERATURE = 0.2


def ours(job: Job) -> Work:
    """Blocked neighbour search and an active-set solver on the modules' Gram matrix."""
    tables, targets = _made_up(job)

    def run() -> NDArray[np.float64]:
        estimates = [knn_predictions(table, targets, K, TEMPERATURE) for table in tables]
        return optimize_weights(np.stack(estimates, axis=1), targets).weights

    return Work(
        run,
        units=1,
        warm_up=lambda: knn_predictions(tables[0], targets, K, TEMPERATURE),
        answer=run,
    )


def theirs(job: Job) -> Work:
    """Matrices of all rows by all rows throughout, then cvxpy with its default solver on all rows.

    So the published scripts do it, but for their mixed-integer form of the problem, which needs a
    commercial solver.
    """
    tables, targets = _made_up(job)
    values = torch.from_numpy(targets).float()
    facts: dict[str, Any] = {}

    def run() -> NDArray[np.float64]:
        estimates = [_dense_estimate(torch.from_numpy(table), values) for table in tables]
        started = time.perf_counter()
        weights = _solve(torch.stack(estimates, dim=1).double().numpy(), targets)
        facts["seconds in cvxpy"] = round(time.perf_counter() - started, 3)
        return weights

    return Work(
        run,
        units=1,
        warm_up=lambda: _dense_estimate(torch.from_numpy(tables[0]), values),
        answer=run,
        facts=facts,
    )


def _made_up(job: Job) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
    sizes = job.sizes
    return made_up_embeddings(required(sizes.rows), required(sizes.width), required(sizes.modules))


def _dense_estimate(embeddings: Tensor, targets: Tensor) -> Tensor:
    unit = torch.nn.functional.normalize(embeddings)
    affinity = torch.exp(unit @ unit.T / TEMPERATURE)
    affinity.fill_diagonal_(0)
    least = affinity.topk(K, dim=1).values[:, -1:]
    affinity = torch.where(affinity >= least, affinity, 0)
    return affinity @ targets / affinity.sum(dim=1)


def _solve(estimates: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    import cvxpy

    weights = cvxpy.Variable(estimates.shape[1])
    objective: Any = cvxpy.sum_squares(estimates @ weights - targets) / len(targets)
    problem = cvxpy.Problem(cvxpy.Minimize(objective), [weights >= 0, cvxpy.sum(weights) == 1])
    problem.solve()
    return np.asarray(weights.value, dtype=np.float64)
