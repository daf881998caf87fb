"""Tasks: which properties there are to predict, where their data comes from, and how it is split.

``get_task("mp_phonons").load()`` gives the rows, ``.split(0)`` the published split,
``fetch([...])`` fills the cache, ``import_task(path, target=…, unit=…)`` makes a task of the
user's own files, ``Task.from_structures(…)`` one of objects in memory. Every task is an attribute too,
``tasks.mp_phonons``, for the tab key. Names are imported when they are first used, so that importing this
package costs nothing.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moma_app.tasks.catalogue import catalogue as catalogue_specs
    from moma_app.tasks.catalogue import get_spec
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.fetch import FetchReport
    from moma_app.tasks.fetch import fetch as fetch_tasks
    from moma_app.tasks.from_python import import_structures
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
    "import_structures": "from_python",
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
    "import_structures",
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
    if not name.startswith("_") and name not in _files():
        from moma_app.errors import UnknownNameError

        try:
            return import_module(f"{__name__}.task").get_task(name)
        except UnknownNameError as exc:
            raise AttributeError(str(exc)) from exc
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _files() -> frozenset[str]:
    """Return the modules of this package, which no task of the same name can hide."""
    return frozenset(module.name for module in iter_modules(__path__))


def __dir__() -> list[str]:
    names = import_module(f"{__name__}.task").task_names()
    return [*__all__, *(name for name in names if name.isidentifier() and name not in _files())]
