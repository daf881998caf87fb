"""What differs between two cards of one module, and how much of a new version that is.

A module's version says what a user of the old one has to expect of the new one:

- major: it cannot stand in the old one's place. It predicts another target, or it cannot be merged
  with the modules that the old one could be merged with (another fingerprint, kind or layers).
- minor: trained anew, on other data or by another recipe or seed.
- patch: the same training; stored in another type, tested anew, or described better.

Another backbone is no new version: it is another module, and needs another name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from moma_app.hub.versions import Part

if TYPE_CHECKING:
    from moma_app.hub.card import Card

_MAJOR = {
    "backbone",
    "fingerprint",
    "kind",
    "layers",
    "target.task",
    "target.unit",
    "target.transform",
    "target.kind",
    "target.n_classes",
    "target.extensive",
}
_MINOR_ROOTS = {"data", "recipe", "seed", "head", "created"}
_NO_CHANGE = {"format", "version", "file"}
"""Fields that say nothing about the module itself."""
_DETAIL = {"curve", "hardware"}
"""Fields that say how the training went; too long to be shown."""


class FieldChange(NamedTuple):
    """A fact that differs between two cards.

    Attributes:
        field: its name, with dots between the levels: ``recipe.fit.epochs``.
        old: what the old card says; ``None`` if nothing.
        new: what the new card says; ``None`` if nothing.
    """

    field: str
    old: Any
    new: Any


def changes_between(old: Card, new: Card) -> tuple[FieldChange, ...]:
    """Return the facts that differ, in the order of the card; empty for the same module."""
    first, second = _flat(old), _flat(new)
    return tuple(
        FieldChange(field, first.get(field), second.get(field))
        for field in dict.fromkeys([*first, *second])
        if first.get(field) != second.get(field)
    )


def part_of(changes: tuple[FieldChange, ...]) -> Part | None:
    """Return which part of the version counts up for these changes, ``None`` if there are none."""
    fields = {change.field for change in changes}
    if fields & _MAJOR:
        return "major"
    retrained = {field.partition(".")[0] for field in fields} & _MINOR_ROOTS
    if retrained or ("sha256" in fields and "storage" not in fields):
        return "minor"
    return "patch" if fields else None


def described(changes: tuple[FieldChange, ...]) -> str:
    """Return the changes in words, without those that every training brings: ``seed 0 → 1; …``."""
    told = (c for c in changes if c.field not in {"sha256", "size", "created", *_DETAIL})
    return "; ".join(f"{c.field} {shown(c.old)} → {shown(c.new)}" for c in told)


def shown(value: Any) -> str:
    """Write a fact: a number with few digits, a hash shortened, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def _flat(card: Card) -> dict[str, Any]:
    return dict(_leaves(card.model_dump(mode="json", exclude=_NO_CHANGE), ""))


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        field = f"{prefix}{key}"
        if isinstance(value, Mapping) and field not in _DETAIL:
            yield from _leaves(value, f"{field}.")
        else:
            yield field, value
