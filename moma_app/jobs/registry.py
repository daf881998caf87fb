"""Units of work by name. Any installed package can add one.

A unit is a function ``unit(context, **arguments)`` that returns a JSON-ready dictionary; a package
declares it as an entry point of the group ``moma_app.units``. Only declared functions can be run:
the record of a run names its unit, and a record may come from somebody else's tracking server.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from moma_app.errors import IncompatibleError, MissingDependencyError, UnknownNameError

GROUP = "moma_app.units"
Unit = Callable[..., dict[str, Any]]


def unit_names() -> list[str]:
    """Return the names of all units, sorted; none is imported."""
    return sorted(entry_points(group=GROUP).names)


@cache
def get_unit(name: str) -> Unit:
    """Return the function of that name.

    Raises:
        UnknownNameError: no installed package declares it.
        IncompatibleError: several do.
        MissingDependencyError: it cannot be imported on this machine.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise UnknownNameError(
            "unit of work", name, unit_names(), "Install the package that adds it, on every worker."
        )
    if len(found) > 1:
        raise IncompatibleError(
            f"The unit {name!r} is claimed by more than one installed package: uninstall one."
        )
    (point,) = found
    try:
        unit: Unit = point.load()
    except (ImportError, AttributeError) as exc:
        raise MissingDependencyError(f"The unit {name!r} ({point.value}) cannot be imported: {exc}.") from exc
    return unit
