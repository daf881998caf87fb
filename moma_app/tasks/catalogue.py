"""The catalogue of known tasks: data in ``catalogue.toml``, read once."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from moma_app.errors import UnknownNameError
from moma_app.tasks.specs import TaskSpec


@cache
def _read() -> dict[str, TaskSpec]:
    data = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))
    references: dict[str, str] = data["citations"]
    groups: dict[str, dict[str, Any]] = data["groups"]
    specs = {}
    for name, entry in data["tasks"].items():
        values = {**groups.get(entry.get("group", ""), {}), **entry}
        values.pop("group", None)
        values["citation"] = "; ".join(references[key] for key in values.pop("cite"))
        specs[name] = TaskSpec(name=name, **values)
    return specs


def catalogue() -> dict[str, TaskSpec]:
    """Return the specs of all tasks of the catalogue by name, in the catalogue's order."""
    return dict(_read())


def get_spec(name: str) -> TaskSpec:
    """Return the spec of the catalogue's task ``name``.

    Raises:
        UnknownNameError: the catalogue has no such task; the message lists what is close.
    """
    try:
        return _read()[name]
    except KeyError:
        raise UnknownNameError("task", name, _read()) from None
