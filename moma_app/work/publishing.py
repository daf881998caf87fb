"""Puts what a run made where its user wants it: by the worker, or afterwards from the run's artefacts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.jobs.order import Outcome
from moma_app.jobs.spec import RunSpec
from moma_app.work.finetune import PREDICTOR
from moma_app.work.train import MODULE

if TYPE_CHECKING:
    from moma_app.jobs.store import RunStore


def publish(store: RunStore, spec: RunSpec, outcome: Outcome) -> None:
    """Fetch and publish what the worker could not put in its place, because it has a disk of its own.

    Raises:
        InputError: the place is taken, or cannot be written to.
    """
    if outcome.state != "finished" or outcome.result.get("published") is not None:
        return
    target = spec.publish.get("output") or spec.publish.get("hub")
    if target is None or (spec.unit == "compose" and not spec.arguments["instant"]):
        return
    with tempfile.TemporaryDirectory() as scratch:
        kept = PREDICTOR if "output" in spec.publish else MODULE
        _place(store.fetch(outcome.run_id, kept, Path(scratch)), Path(target), spec.publish, outcome.result)


def _place(source: Path, target: Path, how: dict[str, Any], result: dict[str, Any]) -> None:
    overwrite = bool(how.get("overwrite"))
    if "output" in how:
        from moma_app.training.predictor import Predictor

        Predictor.load(source).save(target, overwrite=overwrite)
    else:
        from moma_app.hub.hub import Hub

        Hub(target).add(Hub(source)[result["module"]], overwrite=overwrite)
