"""Composition weights of very many modules."""

from __future__ import annotations

import numpy as np

from moma_app.amc.weights import optimize_weights
from moma_app.bench.job import Job
from moma_app.bench.sizes import required
from moma_app.bench.work.base import Work


def ours(job: Job) -> Work:
    """Solve for the weights of modules whose estimates share most of their errors, as real ones do."""
    rows, modules = required(job.sizes.rows), required(job.sizes.modules)
    random = np.random.default_rng(0)
    targets = random.standard_normal(rows)
    shared = random.standard_normal((rows, 1))
    spread = random.uniform(0.5, 2.0, modules)
    estimates = targets[:, None] + 0.5 * shared + spread * random.standard_normal((rows, modules))
    return Work(
        run=lambda: optimize_weights(estimates, targets),
        units=1,
        warm_up=lambda: optimize_weights(estimates[:, :10], targets),
        facts={"modules with weight": int((optimize_weights(estimates, targets).weights > 0).sum())},
    )
