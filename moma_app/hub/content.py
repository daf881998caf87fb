"""What a hub holds, as faces show it: cards, damage, and which of them a search finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moma_app.hub.card import Card
from moma_app.hub.hub import Damage, Hub
from moma_app.hub.places import BUILTIN

ROWS = 24
"""Cards on one page."""


@dataclass(frozen=True)
class Entry:
    """A module that can be used.

    Attributes:
        card: its card.
        family: physical family of its task; ``other`` if that is not known.
        builtin: it comes with the package.
        own: it lies in the hub's first folder, from which it can be removed.
    """

    card: Card
    family: str
    builtin: bool
    own: bool


@dataclass(frozen=True)
class Content:
    """A hub's modules.

    Attributes:
        entries: those that can be used, by name.
        damaged: those that cannot, with the reason.
        folder: where modules are added; ``None`` for the built-in hub, which stays as it is.
    """

    entries: tuple[Entry, ...]
    damaged: tuple[Damage, ...]
    folder: Path | None

    def find(self, name: str) -> Entry | None:
        """Return a module by name."""
        return next((entry for entry in self.entries if entry.card.name == name), None)


def content_of(hub: Hub, family_of: Callable[[str], str]) -> Content:
    """Read a hub's cards.

    Args:
        hub: the hub.
        family_of: gives the physical family of a task by its name.
    """
    usable, damaged = hub.check(files=False)
    first = hub.folders[0]
    entries = []
    for module in usable:
        folder = module.path.parent if module.path is not None else first
        entries.append(
            Entry(
                card=module.card,
                family=family_of(module.card.target.task),
                builtin=folder == BUILTIN,
                own=folder == first != BUILTIN,
            )
        )
    return Content(tuple(entries), tuple(damaged), None if first == BUILTIN else first)


# -- search --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """Which modules are shown, and in which order.

    Attributes:
        text: all of its words are in name, task, property, source or licence, whatever the case.
        backbone, kind, family: only these; empty for all.
        order: a key of :data:`ORDERS`.
    """

    text: str = ""
    backbone: str = ""
    kind: str = ""
    family: str = ""
    order: str = "name"


def _number(value: float | None) -> float:
    return math.inf if value is None or not math.isfinite(value) else value


@dataclass(frozen=True)
class Order:
    """An order of modules: what it is called, what it goes by, and which way."""

    label: str
    key: Callable[[Entry], Any]
    falling: bool = False


ORDERS: dict[str, Order] = {
    "name": Order("Name", lambda entry: entry.card.name.casefold()),
    "property": Order("Property", lambda entry: entry.card.target.property.casefold()),
    "error": Order("MAE/MAD, lowest first", lambda entry: _number(entry.card.metrics.mae_over_mad)),
    "rows": Order("Training rows, most first", lambda entry: entry.card.data.rows_train or 0, falling=True),
    "newest": Order("Newest first", lambda entry: entry.card.created, falling=True),
}


def found(entries: Sequence[Entry], search: Search) -> list[Entry]:
    """Return the modules that a search finds, in its order; equals by name."""
    words = search.text.casefold().split()
    wanted = [
        entry
        for entry in entries
        if search.backbone in ("", entry.card.backbone)
        and search.kind in ("", entry.card.kind)
        and search.family in ("", entry.family)
        and all(word in _text(entry) for word in words)
    ]
    order = ORDERS[search.order]
    by_name = sorted(wanted, key=lambda entry: entry.card.name)
    return sorted(by_name, key=order.key, reverse=order.falling)


def sheet(entries: Sequence[Entry], number: int) -> tuple[list[Entry], int]:
    """Return the modules of a page (from 1; the last one if there are not so many) and how many pages there are."""
    sheets = max(1, -(-len(entries) // ROWS))
    start = ROWS * (min(max(1, number), sheets) - 1)
    return list(entries[start : start + ROWS]), sheets


def _text(entry: Entry) -> str:
    card = entry.card
    parts = (card.name, card.target.task, card.target.property, entry.family, card.data.source, card.licence)
    return " ".join(parts).casefold()
