"""Continual learning (Figure 6 of the MoMa paper): does a hub that grows predict better?

Modules are added to a hub. The proxy error of the composition can only fall, because its weights may
stay as they were. The question is whether the test error falls with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from moma_app.errors import InputError
from moma_app.experiments.cells import Cell
from moma_app.experiments.plan import Plan, Row
from moma_app.experiments.results import CellResult, by_place
from moma_app.experiments.statistics import Line, fit_line, percent, spread
from moma_app.hub.card import Card
from moma_app.hub.hub import Hub
from moma_app.tasks import get_task
from moma_app.work.modules import named_modules

BEFORE, AFTER = "before", "after"
Proxy = Literal["objective", "mae"]
PROXY_METRIC: dict[str, str] = {"objective": "objective", "mae": "composed_proxy_mae"}


class Continual(Plan):
    """AMC with some modules, and with these and others; all modules of the hub afterwards by default."""

    name: ClassVar[str] = "continual"

    before: tuple[str, ...] = Field(description="Modules of the hub before it grew.")
    after: tuple[str, ...] | None = Field(default=None, description="Modules afterwards; by default all.")
    proxy: Proxy = Field(
        default="objective",
        description="Proxy error: AMC's objective (mean squared error of the weighted kNN estimate) or its MAE.",
    )

    @field_validator("before")
    @classmethod
    def _some(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not values:
            raise ValueError("a hub needs at least one module")
        return tuple(dict.fromkeys(values))

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.modules is not None:
            raise ValueError("name the modules of before and after instead")
        if self.after is not None and not set(self.before) < set(self.after):
            raise ValueError("the modules after must be those before, and others")
        return self

    def cells(self) -> list[Cell]:
        """Return the cells before, then those after.

        Raises:
            InputError: the hub has no other modules than those before.
        """
        small = self.composition(self.before)
        large = self.composition(self.after)
        if not set(small.modules or ()) < set(large.modules or ()):
            raise InputError(
                "The hub does not grow: the modules afterwards must be those before, and others of the same kind."
            )
        return [
            cell
            for group, amc in ((BEFORE, small), (AFTER, large))
            for cell in self.each(["amc"], amc, group=group)
        ]

    def table(self, results: Sequence[CellResult]) -> list[Row]:
        """Return a line for each task, learner, split and seed that has both.

        Errors are before and after; decreases are in % of the error before, positive is better.
        """
        found = by_place(results)
        rows: list[Row] = []
        metric = PROXY_METRIC[self.proxy]
        for task, learner, split, seed in product(self.tasks, self.learners, self.splits, self.seeds):
            pair = [found.get((task, learner, "amc", group, None, split, seed)) for group in (BEFORE, AFTER)]
            old, new = pair
            if old is None or new is None or old.mae is None or new.mae is None:
                continue
            rows.append(
                {
                    "task": task,
                    "unit": get_task(task).spec.unit,
                    "learner": learner,
                    "split": split,
                    "seed": seed,
                    "proxy_before": old.metrics[metric],
                    "proxy_after": new.metrics[metric],
                    "proxy_decrease": _decrease(old.metrics[metric], new.metrics[metric]),
                    "mae_before": old.mae,
                    "mae_after": new.mae,
                    "mae_decrease": _decrease(old.mae, new.mae),
                }
            )
        return rows


def _decrease(before: float, after: float) -> float | None:
    change = percent(after, before)
    return None if change is None else -change


def task_means(rows: Sequence[Row]) -> list[Row]:
    """Return a line for each task and learner: means over splits and seeds, the points of Figure 6."""
    means: list[Row] = []
    for task, learner in dict.fromkeys((row["task"], row["learner"]) for row in rows):
        same = [row for row in rows if (row["task"], row["learner"]) == (task, learner)]
        proxy = spread([row["proxy_decrease"] for row in same if row["proxy_decrease"] is not None])
        error = spread([row["mae_decrease"] for row in same if row["mae_decrease"] is not None])
        if proxy is not None and error is not None:
            means.append(
                {
                    "task": task,
                    "learner": learner,
                    "proxy_decrease": proxy.mean,
                    "proxy_decrease_std": proxy.std,
                    "mae_decrease": error.mean,
                    "mae_decrease_std": error.std,
                    "n": error.n,
                }
            )
    return means


def trend(points: Sequence[Row]) -> Line | None:
    """Fit test-error decrease against proxy-error decrease.

    Give it :func:`task_means`: the splits of one task share most of their rows and are no independent
    points. ``None`` if there are fewer than three, or nothing differs.
    """
    known = [row for row in points if row["proxy_decrease"] is not None and row["mae_decrease"] is not None]
    return fit_line([row["proxy_decrease"] for row in known], [row["mae_decrease"] for row in known])


def modules_before(hub: str | None, name: str) -> tuple[str, ...]:
    """Return the modules of a hub that were made before a given one, and are of its kind and backbone.

    Args:
        hub: address of the hub.
        name: of the module.

    Raises:
        UnknownModuleError: it is not in the hub.
        InputError: it is damaged, or the oldest of its kind.
    """
    opened = Hub.open(hub)
    present = named_modules(opened, None)
    named = named_modules(opened, [name])[name]
    if named is None:
        raise InputError(f"The card of module {name} is damaged: `moma hub verify` says more.")
    card = named.card
    older = tuple(
        other
        for other, module in present.items()
        if module is not None
        and (module.card.kind, module.card.backbone) == (card.kind, card.backbone)
        and _made(module.card) < _made(card)
    )
    if not older:
        raise InputError(f"No module of the hub is older than {name}: name the modules before it one by one.")
    return older


def _made(card: Card) -> datetime:
    try:
        made = datetime.fromisoformat(card.created)
    except ValueError as exc:
        raise InputError(
            f"The card of module {card.name} has no time in ISO 8601 but {card.created!r}: name the modules one by one."
        ) from exc
    return made if made.tzinfo else made.replace(tzinfo=UTC)
