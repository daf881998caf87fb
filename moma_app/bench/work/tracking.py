"""Recording runs in MLflow's SQLite store, as fits do."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from moma_app.bench.job import Job
from moma_app.bench.work.base import Work

RUNS = 10
"""In one repeat."""
METRICS = 40
"""Of one run, one after another, as epochs end."""


def ours(job: Job) -> Work:
    """Create a run, log its metrics one at a time, end it."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # a benchmark does not call home
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    logging.getLogger("alembic").setLevel(logging.WARNING)
    folder = Path(job.scratch)
    client = MlflowClient(f"sqlite:///{folder / 'tracking.db'}")
    experiment = client.create_experiment("bench", artifact_location=(folder / "artifacts").as_uri())
    facts: dict[str, Any] = {"metrics a run": METRICS}

    def record() -> str:
        run: str = client.create_run(experiment).info.run_id
        for step in range(METRICS):
            client.log_metric(run, "error", 1 / (1 + step), step=step)
        client.set_terminated(run)
        return run

    def compare() -> list[float]:
        """Note the time of a run whose metrics come in one batch, and how many runs were kept."""
        started = time.perf_counter()
        for _ in range(RUNS):
            run = client.create_run(experiment).info.run_id
            client.log_batch(run, [Metric("error", 1 / (1 + step), 0, step) for step in range(METRICS)])
            client.set_terminated(run)
        facts["ms a run in one batch"] = 1e3 * (time.perf_counter() - started) / RUNS
        return []

    return Work(
        run=lambda: [record() for _ in range(RUNS)], units=RUNS, warm_up=record, answer=compare, facts=facts
    )
