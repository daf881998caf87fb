"""A learner and its unit, installed as a package of their own: see ``plugin`` in conftest.

Its error is known beforehand: it depends on the task, split, seed, shots, weighting and number of modules.
"""

from __future__ import annotations

from pathlib import Path

from moma_app.errors import InputError
from moma_app.experiments.registry import Learner, Options
from moma_app.jobs.blobs import Blob
from moma_app.jobs.spec import RunSpec

PENALTY = {"amc": 1.0, "select-average": 1.1, "all-average": 1.2, "random": 1.3, "best-single": 0.9}


class ToyOptions(Options):
    """Settings of the learner."""

    fail_on: int | None = None
    mark: str = ""


def describe(asked):
    """Describe the run."""
    return RunSpec(
        "test-toy",
        {
            "task": asked.task.name,
            "split": asked.split,
            "seed": asked.seed,
            "shots": asked.shots,
            "amc": asked.amc.to_dict() if asked.start == "composed" else None,
            **asked.options.model_dump(),
        },
        task=asked.task.name,
        files={place: Blob.of(path) for place, path in asked.task.files().items()},
    )


def toy(context, *, task, split, seed, shots, amc, fail_on, mark):
    """Learn nothing, with a known error."""
    if split == fail_on and not (mark and Path(mark).exists()):
        raise InputError("This split is cursed.")
    penalty = 2.0 if amc is None else PENALTY[amc.get("weighting", "amc")]
    modules = 0 if amc is None else len(amc["modules"])
    error = penalty * (1 + split + seed / 10) / (1 + modules / 10) * (10 / (shots or 100))
    (context.artefacts / "predictor").mkdir(parents=True)
    (context.artefacts / "predictor" / "large.bin").write_bytes(b"0" * 100)
    (context.artefacts / "report.html").write_text("<p>report</p>")
    composition = amc and {
        "objective": 1 / (1 + modules),
        "train_targets": [0.0, 1.0],
        "modules": [{"weight": 1.0, "predictions": [0.5, 0.5]}],
    }
    fit = {
        "task": task,
        "split": split,
        "seed": seed,
        "shots": shots,
        "unit": "eV",
        "hardware": "abacus",
        "metrics": {"mae": error},
    }
    return {"fit": fit, "composition": composition, "metrics": {"test_mae": error}}


learner = Learner(
    "toy",
    "Toy",
    "Learns nothing.",
    describe,
    lambda size, _: 60.0 * (1 + size.modules),
    options=ToyOptions,
)
