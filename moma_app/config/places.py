"""Paths and addresses among the settings: made absolute where they are read, so that they mean the same anywhere."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

SQLITE = "sqlite:///"
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d+")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]+:")  # two letters at least: C: is a drive
_TRACKING_NAMES = ("databricks", "databricks-uc", "uc")
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


def anchor(key: str, value: Any, folder: Path | None = None) -> Any:
    """Return the setting's value with relative paths made absolute; values of other settings as they are.

    Args:
        key: name of the setting.
        value: as it was given.
        folder: what paths are relative to, by default the working directory.

    Raises:
        ValueError: the value is no path where there must be one, or it cannot be made absolute.
    """
    change = _CHANGES.get(key)
    return value if change is None or value is None else change(value, folder)


def without_password(text: str) -> str:
    """Return a URI with its password, if it has one, replaced by ``***``."""
    return _PASSWORD.sub(r"\1:***@", text)


def _absolute(value: Any, folder: Path | None) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError("Input should be a path, as text in quotes")  # noqa: TRY004 - pydantic expects it
    try:
        path = Path(value).expanduser()
    except RuntimeError as exc:
        raise ValueError("There is no such user, or the user has no home folder") from exc
    try:
        return path if path.is_absolute() else (folder or Path.cwd()) / path
    except FileNotFoundError as exc:
        raise ValueError("The working directory no longer exists, so give an absolute path") from exc


def _search_path(value: Any, folder: Path | None) -> tuple[Path, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(os.pathsep) if part]
    if not isinstance(value, list | tuple):
        raise ValueError(  # noqa: TRY004 - pydantic expects it
            f"Input should be a list of paths, or paths joined by {os.pathsep!r}"
        )
    return tuple(_absolute(part, folder) for part in value)


def _tracking(value: Any, folder: Path | None) -> Any:
    if not isinstance(value, str) or value in _TRACKING_NAMES:
        return value
    if value.startswith(SQLITE):
        file, mark, options = value.removeprefix(SQLITE).partition("?")
        return value if file == ":memory:" else f"{SQLITE}{_absolute(file, folder)}{mark}{options}"
    return value if _SCHEME.match(value) else str(_absolute(value, folder))


def _scheduler(value: Any, folder: Path | None) -> Any:
    if not isinstance(value, str) or "://" in value:
        return value
    if _HOST_AND_PORT.fullmatch(value):
        return f"tcp://{value}"
    return str(_absolute(value, folder))


_CHANGES: dict[str, Callable[[Any, Path | None], Any]] = {
    "home": _absolute,
    "hub": _absolute,
    "data": _search_path,
    "tracking": _tracking,
    "scheduler": _scheduler,
}
