"""The folders: home, task data, modules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.doctor.finding import Finding
from moma_app.doctor.writing import why_not_writable
from moma_app.errors import DamagedFileError

if TYPE_CHECKING:
    from moma_app.config import Settings
    from moma_app.hub import Hub

PATIENCE = 20.0
"""Seconds for reading all of the hub's files."""


def check_home(settings: Settings) -> Iterator[Finding]:
    """Write to the home folder, or to where it is to be made."""
    reason = why_not_writable(settings.home)
    if reason is not None:
        remedy = "Set home (MOMA_HOME) to a folder that you may write to."
        yield Finding("home", "problem", reason, remedy)
    else:
        exists = "writable" if settings.home.is_dir() else "writable, made when it is first needed"
        yield Finding("home", "ok", f"{settings.home} ({exists})")


def check_data(settings: Settings) -> Iterator[Finding]:
    """Count the tasks that each data folder has, and read what each file says of itself."""
    from moma_app.tasks import embedded
    from moma_app.tasks.catalogue import catalogue

    with_data = {embedded.NAME}
    for folder in settings.data_folders:
        files = sorted((folder / "tasks").glob("*.parquet"))
        with_data |= {file.stem for file in files}
        yield from _data_folder(folder, files, chosen=folder in settings.data)
        yield from _damaged(files)
    known = catalogue()
    own = len(with_data - known.keys())
    value = f"{len(with_data & known.keys())} of {len(known)} of the catalogue" + (
        f", {own} of your own" if own else ""
    )
    if len(with_data) == 1:
        remedy = "Run moma tasks fetch NAME, or set data (MOMA_DATA) to a folder that has some."
        yield Finding("tasks with data", "hint", f"{value} (the embedded one)", remedy)
    else:
        yield Finding("tasks with data", "ok", value)


def _data_folder(folder: Path, files: list[Path], *, chosen: bool) -> Iterator[Finding]:
    name = "data folder" if chosen else "data cache"
    if files or (folder.is_dir() and not chosen):
        yield Finding(name, "ok", f"{folder}: {_count(len(files), 'task')}")
    elif not chosen:
        yield Finding(name, "ok", f"{folder}: empty, made with the first download or import")
    elif not folder.is_dir():
        remedy = "Correct the setting data (MOMA_DATA), or take the folder out of it."
        yield Finding(name, "hint", f"{folder}: there is no such folder", remedy)
    else:
        remedy = "A data folder holds tasks/NAME.parquet: name the folder above tasks in data (MOMA_DATA)."
        yield Finding(name, "hint", f"{folder}: no tasks", remedy)


def _damaged(files: list[Path]) -> Iterator[Finding]:
    from moma_app.tasks.store import read_metadata

    for file in files:
        try:
            read_metadata(file)
        except DamagedFileError as exc:
            remedy = "Delete the file, and fetch or import the task again."
            yield Finding(f"task {file.stem}", "problem", str(exc), remedy)


def check_hub(settings: Settings, *, patience: float = PATIENCE) -> Iterator[Finding]:
    """Compare the modules' files with the checksums of their cards, as many as the time allows."""
    from moma_app.hub.hub import Hub
    from moma_app.hub.places import BUILTIN

    hub = Hub(settings.hub_folder, BUILTIN)
    names = list(hub)
    deadline = time.monotonic() + patience
    damaged, done = [], 0
    for name in names:
        if time.monotonic() > deadline:
            break
        try:
            hub[name].verify()
        except DamagedFileError as exc:
            damaged.append(Finding(f"module {name}", "problem", str(exc), _repair(hub, name)))
        done += 1
    value = f"{_count(len(names), 'module')} in {settings.hub_folder} and the built-in hub"
    if done < len(names):
        value += f"; the files of {done} were checked"
        yield Finding("hub", "hint", value, "Run moma hub verify to check all, however long it takes.")
    else:
        yield Finding("hub", "ok", f"{value}, {len(names) - len(damaged)} sound")
    yield from damaged


def _repair(hub: Hub, name: str) -> str:
    if (hub.folders[0] / f"{name}.json").exists():
        return f"Run moma hub remove {name}, and pull, add or train it again."
    return "It came with the package: install moma-app again."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
