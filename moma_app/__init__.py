"""MoMa: modular deep learning for material property prediction.

What a notebook needs is here by name: ``from moma_app import Hub, compose, predict, tasks``. Importing
this package is cheap and has no side effects: a name, and with it torch, pymatgen or pandas, is imported
when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moma_app import tasks
    from moma_app.amc.compose import Composition, compose
    from moma_app.amc.result import AMCResult
    from moma_app.amc.reweigh import reweigh
    from moma_app.hub.card import Card
    from moma_app.hub.hub import Hub
    from moma_app.hub.module import Module
    from moma_app.jobs.jobs import Jobs
    from moma_app.structures import Crystal, StructureSet
    from moma_app.tasks.from_python import import_structures
    from moma_app.tasks.importing import import_task
    from moma_app.tasks.task import Task, get_task, list_tasks
    from moma_app.training.finetune import finetune
    from moma_app.training.instant import fit_instant
    from moma_app.training.outcome import FitReport
    from moma_app.training.predictor import Predictor
    from moma_app.training.recipe import load_recipe
    from moma_app.training.start import Start
    from moma_app.training.table import predict

_HOMES = {
    "AMCResult": "amc.result",
    "Card": "hub.card",
    "Composition": "amc.compose",
    "Crystal": "structures",
    "FitReport": "training.outcome",
    "Hub": "hub.hub",
    "Jobs": "jobs.jobs",
    "Module": "hub.module",
    "Predictor": "training.predictor",
    "Start": "training.start",
    "StructureSet": "structures",
    "Task": "tasks.task",
    "compose": "amc.compose",
    "finetune": "training.finetune",
    "fit_instant": "training.instant",
    "get_task": "tasks.task",
    "import_structures": "tasks.from_python",
    "import_task": "tasks.importing",
    "list_tasks": "tasks.task",
    "load_recipe": "training.recipe",
    "predict": "training.table",
    "reweigh": "amc.reweigh",
}

__all__ = [
    "AMCResult",
    "Card",
    "Composition",
    "Crystal",
    "FitReport",
    "Hub",
    "Jobs",
    "Module",
    "Predictor",
    "Start",
    "StructureSet",
    "Task",
    "__version__",
    "compose",
    "finetune",
    "fit_instant",
    "get_task",
    "import_structures",
    "import_task",
    "list_tasks",
    "load_recipe",
    "predict",
    "reweigh",
    "tasks",
]

try:
    __version__ = version("moma-app")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name == "tasks":
        return import_module(f"{__name__}.tasks")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
