"""The settings of the moment: read once, and anew when something changes that they depend on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from moma_app.config.settings import KEYS, Settings
from moma_app.config.sources import PREFIX, Given, Origin, from_flags
from moma_app.config.surroundings import (
    Asked,
    Flags,
    Override,
    Surroundings,
    gather,
    look_around,
    values_of,
)
from moma_app.errors import InputError, UnknownNameError

_changing = Lock()
_DEFAULT = Origin("default")


@dataclass(frozen=True)
class Resolved:
    """Settings, and where each value came from.

    Attributes:
        settings: of the moment when they were resolved.
        origins: by key; keys with their default are absent.
    """

    settings: Settings
    origins: Mapping[str, Origin]

    def origin(self, key: str) -> Origin:
        """Return where the value of a setting came from."""
        return self.origins.get(key, _DEFAULT)


def get_settings() -> Settings:
    """Return the settings of the moment; cheap, because sources are read again only when they change.

    Raises:
        UnknownNameError: a file or the environment names a setting that does not exist.
        InputError: a value or a configuration file cannot be used; says which and where.
    """
    return _resolve(look_around()).settings


def resolve() -> Resolved:
    """Return the settings of the moment together with where each value came from.

    Raises:
        UnknownNameError: a file or the environment names a setting that does not exist.
        InputError: a value or a configuration file cannot be used; says which and where.
    """
    return _resolve(look_around())


def source_of(key: str) -> str:
    """Return where the value of a setting came from, for example ``environment MOMA_DEVICE``.

    Raises:
        UnknownNameError: there is no such setting.
        InputError: the settings cannot be read.
    """
    _check_keys([key])
    return str(resolve().origin(key))


@contextmanager
def override(values: Mapping[str, Any]) -> Iterator[Settings]:
    """Use these values in the block, in all threads of this process; the strongest source.

    Blocks may be nested and may overlap in several threads: the one entered last is the strongest,
    and each takes away its own values only. ``override(settings_as_dict())`` in another process
    gives it the very same settings.

    Args:
        values: by name of the setting, as in a file or as Python objects; an empty text sets one
            back to its default.

    Yields:
        The settings with these values.

    Raises:
        UnknownNameError: there is no setting of that name.
        InputError: a value cannot be used; nothing is changed then.
    """
    _check_keys(values)
    mine = Override(MappingProxyType(dict(values)))
    around = look_around()
    settings = _resolve(around._replace(overrides=(*around.overrides, mine))).settings
    with _changing:
        Asked.overrides = (*Asked.overrides, mine)
    try:
        yield settings
    finally:
        with _changing:
            Asked.overrides = tuple(other for other in Asked.overrides if other is not mine)


def set_flags(values: Mapping[str, str] | None = None, config: Path | None = None) -> None:
    """Set what the command line says, for the rest of the process or until the next call.

    Only the flags themselves are checked, so that ``moma doctor`` can tell what else is wrong.

    Args:
        values: text by name of the setting; an empty text sets one back to its default.
        config: the only configuration file to read.

    Raises:
        UnknownNameError: there is no setting of that name.
        InputError: a value cannot be used, or the file does not exist; nothing is changed then.
    """
    values = dict(values or {})
    _check_keys(values)
    _validate(from_flags(values))
    if config is not None:
        config = Path(config).expanduser().absolute()
        if not config.is_file():
            raise InputError(f"There is no configuration file {config}, which --config names.")
    Asked.flags = Flags(MappingProxyType(values), config)


def settings_as_dict() -> dict[str, Any]:
    """Return all settings as values that JSON can hold and that ``override`` takes back.

    Raises:
        InputError: the settings cannot be read.
    """
    return get_settings().model_dump(mode="json")


def settings_environment() -> dict[str, str]:
    """Return all settings as environment variables, for a process that this one starts.

    Flags and overrides end with this process; its children see only the environment and files.

    Raises:
        InputError: the settings cannot be read.
    """
    return {
        PREFIX + key.upper(): os.pathsep.join(value) if isinstance(value, list) else str(value)
        for key, value in settings_as_dict().items()
        if value is not None
    }


@lru_cache(maxsize=64)
def _resolve(around: Surroundings) -> Resolved:
    given = gather(around, KEYS)
    return Resolved(_validate(given), {key: item.origin for key, item in given.items()})


def _validate(given: Mapping[str, Given]) -> Settings:
    try:
        return Settings.from_values(values_of(given))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        key = str(first["loc"][0])
        reason = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        raise given[key].origin.refusal(key, first["input"], reason) from exc


def _check_keys(keys: Mapping[str, Any] | list[str]) -> None:
    for key in keys:
        if key not in KEYS:
            raise UnknownNameError("setting", key, KEYS, "`moma config show` lists all.")
