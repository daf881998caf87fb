"""What all sessions of a server share: the job layer, the hubs, the tasks and their overviews."""

from __future__ import annotations

import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.config import get_settings

if TYPE_CHECKING:
    from moma_app.hub.hub import Hub
    from moma_app.jobs.jobs import Jobs
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.task import Task

_LOCK = threading.Lock()


def get_jobs() -> Jobs:
    """Return the job layer of this server: one connection for all pages."""
    with _LOCK:
        return _jobs()


@lru_cache(maxsize=1)
def _jobs() -> Jobs:
    from moma_app.jobs.jobs import Jobs

    return Jobs()


def artefact(run_id: str, name: str) -> Path:
    """Return a copy of an artefact of a finished run, fetched once for all pages.

    Raises:
        DataNotFoundError: the run has no such artefact.
    """
    return _artefact(run_id, name)


@lru_cache(maxsize=128)
def _artefact(run_id: str, name: str) -> Path:
    return get_jobs().store.fetch(run_id, name, Path(_scratch().name) / run_id)


@lru_cache(maxsize=1)
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="moma-dashboard-")


def get_hub(where: str | None = None) -> Hub:
    """Open a hub: ``None`` for the user's and the built-in one, ``builtin``, or a folder."""
    from moma_app.hub.hub import Hub

    return Hub.open(where or None)


def hub_choices() -> dict[str, str]:
    """Return the hubs that a page offers, by what they are called: address as :func:`get_hub` takes it."""
    from moma_app.hub.places import named_hubs

    usual = {
        "Mine and built-in": "",
        "Built-in": "builtin",
        "Clean edition": "clean",
        "Mine": str(get_settings().hub_folder),
    }
    return usual | {name: str(folder) for name, folder in named_hubs().items() if name not in usual}


def all_tasks() -> list[Task]:
    """Return all tasks, those whose data is on this machine first."""
    from moma_app.tasks import list_tasks

    return sorted(list_tasks(), key=lambda task: not task.available)


def n_rows(task: Task) -> int | None:
    """Return how many rows a task has, from its file's footer; ``None`` if it is not on this machine."""
    path = task.path
    if path is not None:
        return _rows(str(path), path.stat().st_mtime_ns)
    return len(task_data(task.name)) if task.available else None


@lru_cache(maxsize=4096)
def _rows(path: str, _state: int) -> int:
    from pyarrow import ArrowException, parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except (ArrowException, OSError):
        return 0


def task_data(name: str) -> TaskData:
    """Return a task's rows; the last few are kept, by the state of their file."""
    from moma_app.tasks import get_task

    path = get_task(name).path
    return _data(name, None if path is None else (str(path), path.stat().st_mtime_ns))


@lru_cache(maxsize=4)
def _data(name: str, _state: tuple[str, int] | None) -> TaskData:
    from moma_app.tasks import get_task

    return get_task(name).load()


def uploads_folder() -> Path:
    """Return the folder of files that users gave to pages, each under a name of our own."""
    folder = get_settings().home / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
