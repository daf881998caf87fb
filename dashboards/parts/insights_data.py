"""From the compositions that there are to the matrices that the Insights page draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboards.services import get_hub, get_jobs
from moma_app.errors import DataNotFoundError
from moma_app.plots.insight_values import Insights as Shown

if TYPE_CHECKING:
    from moma_app.experiments.insights import Insights
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights
    from moma_app.hub.card import Card


def cards_of(hub: str | None) -> dict[str, Card]:
    """Return the cards of a hub by name, but for damaged ones."""
    from moma_app.work.modules import modules_of

    modules = modules_of(get_hub(hub))
    return {name: module.card for name, module in modules.items() if module is not None}


@dataclass(frozen=True)
class Ours:
    """What this machine knows of a plan.

    Attributes:
        matrix: the compositions that there are.
        cards: of the hub's modules, by name.
        maps: the matrix as the heat map takes it, by the page's views ``weights`` and ``proxy``: means over the
            splits, proxy errors in each task's unit.
    """

    matrix: InsightMatrix
    cards: Mapping[str, Card]
    maps: Mapping[str, Shown]


def read_ours(plan: Insights) -> Ours:
    """Read a plan's compositions; a composition that is new to this machine takes a moment."""
    matrix, cards = plan.matrix(get_jobs()), cards_of(plan.hub)
    return Ours(matrix, cards, maps_of(matrix, cards))


def maps_of(matrix: InsightMatrix, cards: Mapping[str, Card]) -> dict[str, Shown]:
    """Return a matrix as the heat map takes it, by view."""
    from moma_app.experiments.words import words_of
    from moma_app.plots import insight_maps

    words = words_of(matrix.tasks, {name: cards[name] for name in matrix.modules if name in cards})
    return insight_maps.maps_of(matrix, words)


def published_map(published: PublishedWeights, tasks: Sequence[str], splits: Sequence[int]) -> Shown:
    """Return the published weights of some tasks, all by default, as the heat map takes them.

    Raises:
        InputError: none of these tasks was published.
    """
    from moma_app.experiments.words import words_of
    from moma_app.plots import insight_maps

    words = words_of([*published.tasks, *published.modules], {})
    return insight_maps.published_map(published, tasks, splits, words)


def published_or_none() -> PublishedWeights | None:
    """Return the published weights; ``None`` if they are not on this machine.

    Raises:
        DamagedFileError: the file is not in order.
    """
    from moma_app.experiments.published import published_weights

    try:
        return published_weights()
    except DataNotFoundError:
        return None
