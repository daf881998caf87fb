"""A hub's modules, read once for many runs: a plan names the same modules in each of its cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from moma_app.errors import DamagedFileError
from moma_app.hub.hub import Hub, UnknownModuleError
from moma_app.hub.module import Module
from moma_app.hub.places import comes_with_moma
from moma_app.jobs.blobs import Blob

State = tuple[tuple[str, int, int], ...]


_looks: ContextVar[dict[tuple[Path, ...], State] | None] = ContextVar("looks", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Look at the cards of each hub once in the block, however many runs are described in it."""
    token = _looks.set({})
    try:
        yield
    finally:
        _looks.reset(token)


def modules_of(hub: Hub) -> Mapping[str, Module | None]:
    """Return a hub's modules by name, ``None`` for one whose card is damaged; cards are read when they change."""
    return _read(hub.folders, _state_of(hub))


def named_modules(hub: Hub, names: Iterable[str] | None) -> dict[str, Module | None]:
    """Return some modules of a hub, all by default, as :func:`modules_of` does.

    Raises:
        UnknownModuleError: a name is not in the hub.
    """
    present = modules_of(hub)
    chosen = list(present if names is None else names)
    for name in chosen:
        if name not in present:
            raise UnknownModuleError("module", name, present, hint="See moma hub list.")
    return {name: present[name] for name in chosen}


def files_of(hub: Hub, names: Iterable[str] | None) -> dict[str, Blob]:
    """Return the files of modules that do not come with the package, by their place in a data folder.

    Raises:
        UnknownModuleError: a name is not in the hub.
    """
    return dict(_files_of(hub.folders, tuple(named_modules(hub, names)), _state_of(hub)))


def hash_of(hub: Hub, names: Iterable[str] | None) -> str:
    """Return a hash of modules' names and content, whatever their order.

    Raises:
        UnknownModuleError: a name is not in the hub.
    """
    return _hash_of(hub.folders, tuple(named_modules(hub, names)), _state_of(hub))


def _state_of(hub: Hub) -> State:
    """Return what changes when a card of the hub does."""
    looks = _looks.get()
    if looks is None:
        return _look(hub)
    if hub.folders not in looks:
        looks[hub.folders] = _look(hub)
    return looks[hub.folders]


def _look(hub: Hub) -> State:
    found: list[tuple[str, int, int]] = []
    for card in sorted(path for folder in hub.folders for path in folder.glob("*.json")):
        with suppress(FileNotFoundError):  # removed by another process since it was listed
            state = card.stat()
            found.append((str(card), state.st_mtime_ns, state.st_size))
    return tuple(found)


@lru_cache(maxsize=16)
def _read(folders: tuple[Path, ...], _: State) -> Mapping[str, Module | None]:
    hub = Hub(*folders)
    found: dict[str, Module | None] = {}
    for name in hub:
        try:
            found[name] = hub[name]
        except DamagedFileError:
            found[name] = None
        except UnknownModuleError:  # removed by another process since it was listed
            continue
    return MappingProxyType(found)


@lru_cache(maxsize=64)
def _files_of(folders: tuple[Path, ...], names: tuple[str, ...], state: State) -> Mapping[str, Blob]:
    present = _read(folders, state)
    found: dict[str, Blob] = {}
    for name in names:
        module = present[name]
        path = None if module is None else module.path
        if module is None or path is None or comes_with_moma(path.parent) or not path.is_file():
            continue
        found[f"hub/{path.name}"] = Blob(str(path.absolute()), module.card.sha256, path.stat().st_size)
        found[f"hub/{name}.json"] = Blob.of(path.parent / f"{name}.json")
    return found


@lru_cache(maxsize=64)
def _hash_of(folders: tuple[Path, ...], names: tuple[str, ...], state: State) -> str:
    present = _read(folders, state)
    lines: list[str] = []
    for name in sorted(names):
        module = present[name]
        lines.append(f"{name} {'damaged' if module is None else module.card.sha256}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
