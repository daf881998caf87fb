"""A composition with another T from its stored neighbours, as the dashboard does it when a control moves."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np

from moma_app.amc.nearest import nearest_rows
from moma_app.amc.neighbours import propagate
from moma_app.amc.result import AMCResult, ModuleScore
from moma_app.amc.reweigh import reweigh
from moma_app.amc.scoring import proxy_errors, standardise
from moma_app.amc.stored import StoredNeighbours, neighbours_to_keep
from moma_app.bench.job import Job
from moma_app.bench.sizes import required
from moma_app.bench.work.base import Work
from moma_app.bench.work.embeddings import made_up_embeddings

K = 5


def ours(job: Job) -> Work:
    """Change T, and find errors and weights of all modules anew; the file is read once."""
    rows, modules = required(job.sizes.rows), required(job.sizes.modules)
    tables, targets = made_up_embeddings(rows, required(job.sizes.width), modules)
    kept = neighbours_to_keep(K, rows, modules)
    found = [nearest_rows(table, kept) for table in tables]
    names = tuple(f"module {number}" for number in range(modules))
    stored = StoredNeighbours(
        task="made up",
        modules=names,
        sha256=("",) * modules,
        ids=tuple(map(str, range(rows))),
        rows=np.arange(rows, dtype=np.int32),
        targets=targets,
        indices=np.stack([each.indices.astype(np.int32) for each in found]),
        similarities=np.stack([each.similarities for each in found]),
    )
    path = Path(job.scratch) / "neighbours.safetensors"
    stored.save(path)
    stored = StoredNeighbours.load(path)
    result = _result(stored)
    temperatures = cycle((0.1, 0.2, 0.5, 1.0))
    return Work(
        run=lambda: reweigh(stored, result, temperature=next(temperatures)),
        units=1,
        warm_up=lambda: reweigh(stored, result),
        facts={"megabytes of the file": round(path.stat().st_size / 1e6, 1), "neighbours kept": kept},
    )


def _result(stored: StoredNeighbours) -> AMCResult:
    """Return a result that the neighbours belong to; what it says of the weights is not looked at."""
    scale = standardise(stored.targets)
    scores = [
        ModuleScore(
            module=name,
            task="made up",
            property="made up",
            unit="",
            weight=0.0,
            **proxy_errors(propagate(stored.nearest(name, K), scale.values, 0.2), stored.targets, scale),
        )
        for name in stored.modules
    ]
    return AMCResult(
        task=stored.task,
        property="made up",
        unit="",
        modules=scores,
        objective=0.0,
        status="",
        k=K,
        temperature=0.2,
        split=0,
        shots=None,
        seed=0,
        split_origin="random",
        train_ids=list(stored.ids),
        train_targets=stored.targets.tolist(),
        backbone="none",
        fingerprint="",
        kind="full",
        layers="all",
    )
