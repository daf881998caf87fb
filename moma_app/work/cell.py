"""Unit ``cell``: one cell of an experiment's table. It does another unit's work and keeps its numbers.

Which learner and method a cell is about is decided by who plans the experiment
(:mod:`moma_app.experiments`); here they are names, so a new learner needs no change.
"""

from __future__ import annotations

import dataclasses
import platform
import shutil
from typing import Any

from moma_app.errors import DataNotFoundError
from moma_app.jobs.context import Context
from moma_app.jobs.registry import get_unit
from moma_app.jobs.spec import RunSpec
from moma_app.work.composing import AMC, open_hub
from moma_app.work.modules import hash_of

UNIT = "cell"
PRIORITY = -10
"""A cell waits for what somebody starts by hand."""
KEPT = ("composition.json", "report.html")
"""Artefacts of the inner unit that stay; a table of hundreds of cells must not fill the disk."""


def cell_spec(inner: RunSpec, *, learner: str, method: str, priority: int = PRIORITY) -> RunSpec:
    """Describe one cell as a run.

    Args:
        inner: the work, of a unit whose result has ``fit``, ``composition`` and ``metrics`` as that
            of ``compose`` and ``finetune``.
        learner: what learns, for the table.
        method: what it starts from, for the table.
        priority: place in the queue.
    """
    given = inner.arguments
    shots = given.get("shots")
    where = f"split {given.get('split', 0)}" + (f", {shots} shots" if shots else "")
    amc = given.get("amc")
    modules = AMC.from_dict(amc).modules_hash() if amc and amc.get("modules") else None
    return dataclasses.replace(
        inner,
        unit=UNIT,
        arguments={
            "learner": learner,
            "method": method,
            "unit": inner.unit,
            "of": given,
            "modules": modules,
        },
        publish={},
        name=f"{learner}, {method} on {inner.task}, {where}",
        priority=priority,
        needs=dataclasses.replace(inner.needs, quick=False),  # many cells would keep the quick worker busy
    )


def cell(
    context: Context, *, learner: str, method: str, unit: str, of: dict[str, Any], modules: str | None = None
) -> dict[str, Any]:
    """Do what :func:`cell_spec` describes.

    Args:
        context: of the run.
        learner, method: the cell's names.
        unit: the unit that does the work.
        of: its arguments.
        modules: hash of the modules that the cell was planned with.

    Returns:
        ``row``: the cell's place in the table and its test metrics; ``fit``, if something was fitted;
        ``metrics`` of the unit, with those of the composition's kNN estimate. The composition itself
        is the artefact ``composition.json``.

    Raises:
        DataNotFoundError: the hub of this machine holds other modules.
    """
    context.facts(learner=learner, method=method, split=of.get("split", 0), shots=of.get("shots") or "full")
    if modules is not None:
        _check_modules(context, AMC.from_dict(of["amc"]), modules)
    done = get_unit(unit)(context, **of)
    for path in context.artefacts.glob("*"):
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    composition, fit = done.get("composition"), done.get("fit")
    metrics = {**done["metrics"], **({} if composition is None else _proxy(composition))}
    return {"row": _row(learner, method, of, fit), "fit": fit, "metrics": metrics}


def _check_modules(context: Context, amc: AMC, expected: str) -> None:
    if hash_of(open_hub(context, amc.hub), amc.modules) != expected:
        raise DataNotFoundError(
            f"The modules in the hub of {platform.node()} are not those that this cell was planned with: give the worker "
            "the same hub, or plan the experiment anew."
        )


def _proxy(composition: dict[str, Any]) -> dict[str, float]:
    """Return the errors of the weighted kNN estimate of the train rows, how many modules it has, and m."""
    import numpy as np

    targets = np.array(composition["train_targets"])
    weights = np.array([score["weight"] for score in composition["modules"]])
    estimates = np.array([score["predictions"] for score in composition["modules"]])
    errors = np.abs(weights @ estimates - targets)
    return {
        "objective": composition["objective"],
        "composed_proxy_mae": float(errors.mean()),
        "modules_selected": float((weights > 0).sum()),
        "n_train": float(len(targets)),
    }


def _row(learner: str, method: str, of: dict[str, Any], fit: dict[str, Any] | None) -> dict[str, Any]:
    place = {"learner": learner, "method": method}
    if fit is None:
        return {**place, **{name: of.get(name) for name in ("task", "split", "seed", "shots")}}
    names = ("task", "split", "seed", "shots", "unit", "hardware")
    return {**place, **{name: fit[name] for name in names}, **fit["metrics"]}
