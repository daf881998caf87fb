"""From the compositions that there are to the matrices that the Insights page draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboards.services import get_hub, get_jobs
from moma_app.errors import DataNotFoundError, InputError, MomaError
from moma_app.plots.insight_values import Insights as Shown

if TYPE_CHECKING:
    from moma_app.experiments.insights import Insights
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights
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
    words = words_of(matrix.tasks, {name: cards[name] for name in matrix.modules if name in cards})
    same: dict[str, Any] = {
        "modules": list(matrix.modules),
        "tasks": list(matrix.tasks),
        "splits": matrix.counts(),
        **vars(words),
    }
    return {
        "weights": Shown(values=matrix.means(), stds=matrix.stds(), **same),
        "proxy": Shown(
            values=matrix.means("proxy_mae"), stds=matrix.stds("proxy_mae"), kind="proxy error", **same
        ),
    }


def published_map(published: PublishedWeights, tasks: Sequence[str], splits: Sequence[int]) -> Shown:
    """Return the published weights of some tasks, all by default, as the heat map takes them.

    Raises:
        InputError: none of these tasks was published.
    """
    from moma_app.experiments.published import MODULES

    rows = [task for task in published.tasks if not tasks or task in tasks]
    if not rows:
        raise InputError("No weights were published for these tasks: choose others, or none for all.")
    over = [[len(published.of(task, module, splits)) for module in MODULES] for task in rows]
    return Shown(
        modules=list(MODULES),
        tasks=rows,
        values=published.means(rows, MODULES, splits),
        kind="published weight",
        stds=published.stds(rows, MODULES, splits),
        splits=over,
        **vars(words_of([*rows, *MODULES], {})),
    )


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
