"""Modules, and the hubs they are kept in. Names are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moma_app.hub.card import Card
    from moma_app.hub.hub import Damage, Hub
    from moma_app.hub.module import Module

_HOMES = {"Card": "card", "Damage": "hub", "Hub": "hub", "Module": "module"}

__all__ = ["Card", "Damage", "Hub", "Module"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
