"""What one source says: a file, the environment, flags. Each value knows where it came from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moma_app.config.places import anchor
from moma_app.errors import InputError, UnknownNameError

PREFIX = "MOMA_"
FILE_VARIABLE = "MOMA_CONFIG"
"""Names the only configuration file to read."""
SECRETS = ("MOMA_DASHBOARD_PASSWORD", "MOMA_OAUTH_KEY", "MOMA_OAUTH_SECRET")
"""Read by ``moma dashboard`` alone: no settings, because those are shown, kept in files and handed to workers."""
OTHER_NAMES = {"MLFLOW_TRACKING_URI": "tracking"}
"""Variables of other programs that say the same; ours are stronger."""


@dataclass(frozen=True)
class Origin:
    """Where a value came from.

    Attributes:
        kind: the sort of source.
        where: path of the file, name of the variable, or the flag as it was written.
        line: in the file, where it can be told.
    """

    kind: Literal["default", "file", "environment", "flag", "override"]
    where: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".rstrip()

    def refusal(self, key: str, value: Any, reason: str) -> InputError:
        """Return the error for a value that cannot be used."""
        if self.kind == "file":
            subject = f"{key} in {self.place}"
        elif self.kind == "environment":
            subject = f"The environment variable {self.where}"
        elif self.kind == "flag":
            subject = f"--set {key}"
        else:
            subject = f"The setting {key}"
        return InputError(f"{subject} cannot be {value!r}: {reason.rstrip('.')}.")

    @property
    def place(self) -> str:
        """Return the file, with the line where it is known."""
        return self.where if self.line is None else f"{self.where}, line {self.line},"


@dataclass(frozen=True)
class Given:
    """A value that was given by a source; an empty text sets the key back to its default."""

    value: Any
    origin: Origin


def from_file(path: Path, keys: Collection[str], *, required: str = "") -> dict[str, Given]:
    """Read a ``moma.toml``; relative paths in it are relative to its folder.

    Args:
        path: the file.
        keys: names of all settings.
        required: who asked for it; without that, a file that is absent says nothing.

    Raises:
        UnknownNameError: the file has a key that is no setting.
        InputError: the file is missing, cannot be read, is not TOML or has a path that is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (FileNotFoundError, NotADirectoryError) as exc:
        if not required:
            return {}
        raise InputError(f"There is no configuration file {path}, which {required} names.") from exc
    except OSError as exc:
        raise InputError(f"The configuration file {path} cannot be read ({exc.strerror or exc}).") from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"The configuration file {path} is no text in UTF-8: save it as such.") from exc
    except tomllib.TOMLDecodeError as exc:
        raise InputError(f"The configuration file {path} is not valid TOML: {exc}.") from exc
    given = {}
    for key, value in table.items():
        line = _line_of(key, text)
        origin = Origin("file", str(path), line)
        if key not in keys:
            at = f"line {line} of {path}" if line else str(path)
            raise UnknownNameError("setting", key, keys, f"See {at}.")
        try:
            absolute = anchor(key, value, path.parent) if value != "" else value
            given[key] = Given(absolute, origin)
        except ValueError as exc:
            raise origin.refusal(key, value, str(exc)) from exc
    return given


def _line_of(key: str, text: str) -> int | None:
    """Return the line where the key, or a table of that name, begins."""
    start = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    return next((n for n, line in enumerate(text.splitlines(), start=1) if start.match(line)), None)


def from_environment(variables: Iterable[tuple[str, str]], keys: Collection[str]) -> dict[str, Given]:
    """Read the environment; an empty variable counts as one that is not set.

    Raises:
        UnknownNameError: a variable begins with ``MOMA_`` and is no setting.
    """
    given: dict[str, Given] = {}
    present = {name: value for name, value in variables if value}
    for name, key in OTHER_NAMES.items():
        if name in present:
            given[key] = Given(present[name], Origin("environment", name))
    for name, value in present.items():
        if not name.startswith(PREFIX) or name == FILE_VARIABLE or name in SECRETS:
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in keys:
            close = {*keys, FILE_VARIABLE.removeprefix(PREFIX).lower()}
            raise UnknownNameError("setting", key, close, f"Rename or unset the environment variable {name}.")
        given[key] = Given(value, Origin("environment", name))
    return given


def from_flags(values: Mapping[str, str]) -> dict[str, Given]:
    """Return what ``--set KEY=VALUE`` gave."""
    return {key: Given(value, Origin("flag", f"--set {key}={value}")) for key, value in values.items()}


def from_override(values: Mapping[str, Any]) -> dict[str, Given]:
    """Return what a block of code overrides."""
    return {key: Given(value, Origin("override")) for key, value in values.items()}
