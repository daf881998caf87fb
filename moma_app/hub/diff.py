"""What differs between two hubs, or two versions of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moma_app.hub.card import Card, summary_of
from moma_app.hub.changes import FieldChange, changes_between
from moma_app.hub.hub import Damage, Hub


@dataclass(frozen=True)
class Side:
    """One of the two hubs.

    Attributes:
        where: as it was named.
        name, version: of its manifest; ``None`` without one.
        modules: how many can be read.
        size: bytes of their tensor files, as their cards say.
        damaged: cards that cannot be read; modules of their names take no part.
    """

    where: str
    name: str | None
    version: str | None
    modules: int
    size: int
    damaged: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class Changed:
    """A module that both hubs have, but not the same one.

    Attributes:
        old, new: the two cards.
        changes: what differs, but for version and file name.
    """

    old: Card
    new: Card
    changes: tuple[FieldChange, ...]

    @property
    def error_change(self) -> float | None:
        """Relative change of the test MAE, -0.1 for 10% less; ``None`` if a card has none or the unit is another."""
        old, new = self.old.metrics.test_mae, self.new.metrics.test_mae
        if old is None or new is None or not old or self.old.target.unit != self.new.target.unit:
            return None
        return new / old - 1


@dataclass(frozen=True)
class HubDiff:
    """What differs between two hubs. Serialises to JSON.

    Attributes:
        old, new: the hubs.
        added, removed: cards of modules that only the new or only the old one has, by name.
        changed: modules that differ, by name.
        unchanged: names of the others.
    """

    old: Side
    new: Side
    added: tuple[Card, ...]
    removed: tuple[Card, ...]
    changed: tuple[Changed, ...]
    unchanged: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both hubs have the same modules."""
        return not (self.added or self.removed or self.changed)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "old": _side(self.old),
            "new": _side(self.new),
            "added": [summary_of(card) for card in self.added],
            "removed": [summary_of(card) for card in self.removed],
            "changed": [
                {
                    "name": each.new.name,
                    "old": summary_of(each.old),
                    "new": summary_of(each.new),
                    "test_mae_change": each.error_change,
                    "changes": {change.field: [change.old, change.new] for change in each.changes},
                }
                for each in self.changed
            ],
            "unchanged": list(self.unchanged),
        }


def diff(old: Hub, new: Hub, *, names: tuple[str, str] = ("old", "new")) -> HubDiff:
    """Compare the cards and manifests of two hubs; no tensor is read.

    Args:
        old, new: the hubs.
        names: how they are called in the result.

    Raises:
        DamagedFileError: a manifest cannot be read.
    """
    (first, before), (second, after) = (_read(hub, name) for hub, name in zip((old, new), names, strict=True))
    for damage in (*first.damaged, *second.damaged):  # nothing can be said of it
        before.pop(damage.name, None)
        after.pop(damage.name, None)
    both = {name: changes_between(before[name], after[name]) for name in before if name in after}
    renumbered = {name for name in both if before[name].version != after[name].version}
    return HubDiff(
        old=first,
        new=second,
        added=tuple(card for name, card in after.items() if name not in before),
        removed=tuple(card for name, card in before.items() if name not in after),
        changed=tuple(
            Changed(before[name], after[name], changes)
            for name, changes in both.items()
            if changes or name in renumbered
        ),
        unchanged=tuple(name for name, changes in both.items() if not changes and name not in renumbered),
    )


def _read(hub: Hub, where: str) -> tuple[Side, dict[str, Card]]:
    usable, damaged = hub.check(files=False)
    cards = {module.name: module.card for module in usable}
    manifest = hub.manifest
    side = Side(
        where=where,
        name=None if manifest is None else manifest.name,
        version=None if manifest is None else manifest.version,
        modules=len(cards),
        size=sum(card.size for card in cards.values()),
        damaged=tuple(damaged),
    )
    return side, cards


def _side(side: Side) -> dict[str, Any]:
    return {
        "where": side.where,
        "name": side.name,
        "version": side.version,
        "modules": side.modules,
        "size": side.size,
        "damaged": {damage.name: damage.reason for damage in side.damaged},
    }
