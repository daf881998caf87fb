"""The hub that the Hub page shows, read once for all pages as long as its cards stay the same."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from dashboards.services import get_hub
from moma_app.errors import InputError, MomaError
from moma_app.hub.content import Content, content_of
from moma_app.hub.hub import Hub
from moma_app.hub.places import BUILTIN


def open_hub(where: str) -> Hub:
    """Open a hub by the page's address; the user's own hub need not exist yet.

    Raises:
        InputError: the folder does not exist.
    """
    from moma_app.config import get_settings

    mine = get_settings().hub_folder
    return Hub(mine) if where and Path(where) == mine else get_hub(where)


def read_content(where: str) -> Content:
    """Read a hub's cards, once for all pages as long as they stay the same.

    Raises:
        InputError: the folder does not exist.
    """
    hub = open_hub(where)
    return _read(hub.folders, _state(hub))


def writable(hub: Hub) -> Hub:
    """Return the hub if modules can be added to it.

    Raises:
        InputError: it is the built-in one.
    """
    if hub.folders[0] == BUILTIN:
        raise InputError("The built-in hub stays as it is: choose your own hub above.")
    return hub


@lru_cache(maxsize=8)
def _read(folders: tuple[Path, ...], _: tuple[Any, ...]) -> Content:
    families = _families()
    return content_of(Hub(*folders), lambda task: families.get(task, "other"))


def _state(hub: Hub) -> tuple[Any, ...]:
    """Return what changes when a card does."""
    found = []
    for folder in hub.folders:
        for path in sorted(folder.glob("*.json")):
            try:
                state = path.stat()
            except FileNotFoundError:  # removed since it was listed
                continue
            found.append((str(path), state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)


def _families() -> dict[str, str]:
    from moma_app.tasks import list_tasks

    try:
        return {task.name: task.spec.family for task in list_tasks()}
    except MomaError:  # a user's task that cannot be read; the page Data says which
        return {}
