"""What is said of tasks and modules besides their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from moma_app.errors import MomaError
from moma_app.hub.card import Card


@dataclass(frozen=True)
class Words:
    """What is said of tasks and modules besides their names, by name: property, its unit, physical family."""

    properties: Mapping[str, str]
    units: Mapping[str, str]
    families: Mapping[str, str]


def words_of(tasks: Iterable[str], cards: Mapping[str, Card]) -> Words:
    """Look up tasks in the catalogue, and modules on their cards; what is not known is left out."""
    from moma_app.tasks import get_task
    from moma_app.tasks.families import family_of

    properties = {name: card.target.property for name, card in cards.items()}
    units = {name: card.target.unit for name, card in cards.items()}
    families: dict[str, str] = {name: family_of(card.target.task) for name, card in cards.items()}
    for name in tasks:
        try:
            spec = get_task(name).spec
        except MomaError:
            continue
        properties[name], units[name], families[name] = spec.property, spec.unit, spec.family
    return Words(properties, units, families)
