"""What the settings depend on at this moment: environment, files, flags, overrides."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from platformdirs import user_config_path

from moma_app.config.sources import (
    FILE_VARIABLE,
    OTHER_NAMES,
    PREFIX,
    Given,
    from_environment,
    from_file,
    from_flags,
    from_override,
)

FILE = "moma.toml"
_FOLDERS = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "USERPROFILE", "LOCALAPPDATA")
"""Variables on which the default folders depend."""
_RAW: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
"""The dictionary under ``os.environ``: to compare it takes 1 µs, to go through ``os.environ`` 40."""

Variables = tuple[tuple[str, str], ...]
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file that is read if it is there.

    Attributes:
        path: absolute.
        required: who named it (a flag or a variable), so that its absence is an error; else empty.
    """

    path: Path
    required: str = ""


@dataclass(frozen=True, eq=False)
class Flags:
    """What the command line said.

    Attributes:
        values: by key, as text.
        config: the only configuration file to read.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None


@dataclass(frozen=True, eq=False)
class Override:
    """Values that a block of code wants while it runs; equal to itself only."""

    values: Mapping[str, Any]


class Surroundings(NamedTuple):
    """All that the settings depend on; equal if the settings are the same."""

    variables: Variables
    folder: str
    files: tuple[ConfigFile, ...]
    stamps: tuple[Stamp | None, ...]
    flags: Flags
    overrides: tuple[Override, ...]


class _Seen(NamedTuple):
    raw: dict[Any, Any]
    variables: Variables


_seen = _Seen({}, ())


class Asked:
    """What this process asked for: flags, and the overrides of blocks that run at the moment.

    Both are replaced as a whole, never changed, so that other threads see one state or the other.
    """

    flags = Flags()
    overrides: tuple[Override, ...] = ()


def look_around() -> Surroundings:
    """Return what the settings depend on at this moment, without reading any file."""
    variables = _variables()
    try:
        folder = os.getcwd()  # noqa: PTH109 - called often, and this takes a third of the time
    except FileNotFoundError:  # the working directory was deleted
        folder = ""
    flags, overrides = Asked.flags, Asked.overrides
    files = _files(variables, folder, flags)
    return Surroundings(variables, folder, files, tuple(map(_stamp, files)), flags, overrides)


def gather(around: Surroundings, keys: Collection[str]) -> dict[str, Given]:
    """Return what all sources say, the strongest for each key.

    Raises:
        UnknownNameError: a file or the environment names a setting that does not exist.
        InputError: a configuration file cannot be used.
    """
    given: dict[str, Given] = {}
    for file in around.files:
        given |= from_file(file.path, keys, required=file.required)
    given |= from_environment(around.variables, keys)
    given |= from_flags(around.flags.values)
    for override in around.overrides:
        given |= from_override(override.values)
    return given


def values_of(given: Mapping[str, Given]) -> dict[str, Any]:
    """Return the values alone; an empty text leaves the key to its default."""
    return {key: item.value for key, item in given.items() if item.value != ""}


def config_files() -> tuple[ConfigFile, ...]:
    """Return the configuration files that are read if they are there, the strongest last."""
    return look_around().files


def user_config_file() -> Path:
    """Return the path of the user's own configuration file."""
    return user_config_path("moma") / FILE


def _variables() -> Variables:
    """Return the environment variables that matter."""
    global _seen  # noqa: PLW0603 - remembered, because the whole environment seldom changes
    seen = _seen
    if seen.raw != _RAW:
        raw = dict(_RAW)
        relevant = {*_FOLDERS, *OTHER_NAMES}
        pairs = ((os.fsdecode(name), os.fsdecode(value)) for name, value in raw.items())
        kept = sorted(pair for pair in pairs if pair[0].startswith(PREFIX) or pair[0] in relevant)
        _seen = seen = _Seen(raw, tuple(kept))
    return seen.variables


@lru_cache(maxsize=64)
def _files(variables: Variables, folder: str, flags: Flags) -> tuple[ConfigFile, ...]:
    if flags.config is not None:
        return (ConfigFile(flags.config, "--config"),)
    named = dict(variables).get(FILE_VARIABLE)
    if named:
        return (ConfigFile(Path(folder, Path(named).expanduser()), FILE_VARIABLE),)
    own = ConfigFile(user_config_file())
    if not folder:
        return (own,)
    here = ConfigFile(Path(folder, FILE))
    return (own,) if here == own else (own, here)


def _stamp(file: ConfigFile) -> Stamp | None:
    """Return what changes when the file does."""
    try:
        state = os.stat(file.path)  # noqa: PTH116 - called often
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
