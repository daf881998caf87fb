"""What the settings are, in words: for a table, and for a file to begin with."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

from moma_app.config.current import resolve
from moma_app.config.settings import Settings

_HEAD = """\
# Settings of MoMa. Take the "# " away before a key to set it. Flags (moma --set KEY=VALUE) and environment
# variables (MOMA_KEY) are stronger than this file. Relative paths are relative to the folder of this file.
# `moma config show` says where each value in use came from. Keys stand with their defaults; where the default
# is to have none, with an example. An empty text sets a key back to its default.
"""


@dataclass(frozen=True)
class Explained:
    """One setting.

    Attributes:
        key: its name.
        value: in use, as JSON can hold it.
        origin: where it came from: ``default``, ``file /path/moma.toml``,
            ``environment MOMA_DEVICE``, ``flag --set device=cpu`` or ``override``.
        about: what it does, in a sentence.
    """

    key: str
    value: Any
    origin: str
    about: str


def explain_settings() -> tuple[Explained, ...]:
    """Return every setting with its value and where that came from.

    Raises:
        UnknownNameError: a file or the environment names a setting that does not exist.
        InputError: a value or a configuration file cannot be used; says which and where.
    """
    resolved = resolve()
    values = resolved.settings.model_dump(mode="json")
    return tuple(
        Explained(key, values[key], str(resolved.origin(key)), field.description or "")
        for key, field in Settings.model_fields.items()
    )


def file_template() -> str:
    """Return a ``moma.toml`` with all keys and their defaults, commented out."""
    defaults = Settings.from_values({}).model_dump(mode="json")
    parts = [_HEAD]
    for key, field in Settings.model_fields.items():
        value = defaults[key] or (field.examples or [""])[0]
        comment = textwrap.wrap(field.description or "", 108, initial_indent="# ", subsequent_indent="# ")
        parts.append("\n".join([*comment, f"# {key} = {_toml(value)}\n"]))
    return "\n".join(parts)


def _toml(value: Any) -> str:
    """Write a value as TOML, which for texts, whole numbers and lists of them is as JSON has it."""
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
