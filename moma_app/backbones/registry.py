"""Backbones by name. Any installed package can add one.

A package declares an entry point of the group ``moma_app.backbones``: its name is the backbone's,
its value a function without arguments that returns a :class:`~moma_app.backbones.base.Backbone`.
Nothing of a backbone is imported before somebody asks for it.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from moma_app.backbones.base import Backbone
from moma_app.errors import IncompatibleError, MissingDependencyError, MomaError, UnknownNameError

GROUP = "moma_app.backbones"


def backbone_names() -> list[str]:
    """Return the names of all registered backbones, sorted; none is imported."""
    return sorted(entry_points(group=GROUP).names)


@cache
def get_backbone(name: str) -> Backbone:
    """Return the backbone of that name, always the same object.

    Raises:
        UnknownNameError: no installed package has a backbone of that name.
        IncompatibleError: two installed packages have one, or what they give is no backbone.
        MissingDependencyError: the package that has it cannot be imported here.
        MomaError: the package fails in another way.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise UnknownNameError(
            "backbone", name, backbone_names(), "A package that adds it has to be installed first."
        )
    if len(found) > 1:
        rivals = " and ".join(sorted(_package(point) for point in found))
        raise IncompatibleError(
            f"The backbone name {name!r} is claimed by more than one installed package, {rivals}: "
            "uninstall all but one."
        )
    (point,) = found
    return _load(point)


def _load(point: EntryPoint) -> Backbone:
    where = f"of the package {_package(point)} (entry point {point.name} = {point.value})"
    try:
        made = point.load()()
    except MomaError:
        raise
    except ImportError as exc:
        raise MissingDependencyError(
            f"The backbone {point.name!r} {where} cannot be imported: {exc}."
        ) from exc
    except Exception as exc:
        raise MomaError(
            f"The backbone {point.name!r} {where} fails to start: {type(exc).__name__}: {exc}."
        ) from exc
    if not isinstance(made, Backbone):
        raise IncompatibleError(
            f"The backbone {point.name!r} {where} is a {type(made).__name__}, not a moma_app Backbone."
        )
    return made


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "(unknown)"
