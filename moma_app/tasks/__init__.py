"""Tasks: which properties there are to predict, where their data comes from, and how it is split.

``get_task("mp_phonons").load()`` gives the rows, ``.split(0)`` the published split,
``fetch([...])`` fills the cache, ``import_task(path, target=…, unit=…)`` makes a task of the
user's own files. Names are imported when they are first used, so that importing this package
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moma_app.tasks.catalogue import catalogue as catalogue_specs
    from moma_app.tasks.catalogue import get_spec
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.fetch import FetchReport
    from moma_app.tasks.fetch import fetch as fetch_tasks
    from moma_app.tasks.importing import import_task
    from moma_app.tasks.report import ImportRefusedError, ImportReport, Refusal
    from moma_app.tasks.specs import Source, TaskSpec
    from moma_app.tasks.splits import Split, few_shot, random_split
    from moma_app.tasks.task import Task, get_task, list_tasks
    from moma_app.tasks.transforms import Transform, get_transform

_HOMES = {
    "FetchReport": "fetch",
    "ImportRefusedError": "report",
    "ImportReport": "report",
    "Refusal": "report",
    "Source": "specs",
    "Split": "splits",
    "Task": "task",
    "TaskData": "data",
    "TaskSpec": "specs",
    "Transform": "transforms",
    "few_shot": "splits",
    "get_spec": "catalogue",
    "get_task": "task",
    "get_transform": "transforms",
    "import_task": "importing",
    "list_tasks": "task",
    "random_split": "splits",
}
_RENAMED = {"catalogue_specs": ("catalogue", "catalogue"), "fetch_tasks": ("fetch", "fetch")}
"""The functions that bear the name of their module would be hidden by it here."""

__all__ = [
    "FetchReport",
    "ImportRefusedError",
    "ImportReport",
    "Refusal",
    "Source",
    "Split",
    "Task",
    "TaskData",
    "TaskSpec",
    "Transform",
    "catalogue_specs",
    "fetch_tasks",
    "few_shot",
    "get_spec",
    "get_task",
    "get_transform",
    "import_task",
    "list_tasks",
    "random_split",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _RENAMED:
        module, attribute = _RENAMED[name]
        return getattr(import_module(f"{__name__}.{module}"), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
