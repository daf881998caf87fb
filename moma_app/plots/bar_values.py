"""Modules with their weights and proxy errors, as bar charts show them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from moma_app.errors import InputError
from moma_app.plots.text import count, distinct, plain, shorten, with_unit

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult, ModuleScore

Order = Literal["weight", "proxy error"]
TOP = 30
"""Modules that a bar chart shows at most."""
LABEL_LENGTH = 32
"""Characters of a module's name at an axis."""


@dataclass(frozen=True)
class ModuleBar:
    """One module's line in a bar chart.

    Attributes:
        label: its name, short enough for an axis.
        module: its full name.
        predicts: property and unit it was trained on.
        weight: composition weight; ``None`` while it is not known.
        proxy_mae: kNN error in the downstream task's unit.
        proxy_mae_standardised: the same in standard deviations of the targets, where it is known.
    """

    label: str
    module: str
    predicts: str
    weight: float | None
    proxy_mae: float
    proxy_mae_standardised: float | None


@dataclass(frozen=True)
class ModuleBars:
    """The modules that a bar chart shows, first at the top, and what it leaves out.

    Attributes:
        bars: the modules shown.
        by: what they are sorted by.
        quantity, unit: the downstream task's property.
        n_modules: all modules of the composition.
        n_waiting: those of them that have not been encoded yet.
        n_hidden_weighted, hidden_weight: modules not shown that have a weight, and their sum.
    """

    bars: list[ModuleBar]
    by: Order
    quantity: str
    unit: str
    n_modules: int
    n_hidden_weighted: int
    hidden_weight: float
    n_waiting: int = 0

    @property
    def n_hidden(self) -> int:
        """Modules that could be shown and are not."""
        return self.n_modules - self.n_waiting - len(self.bars)

    @property
    def note(self) -> str:
        """What is not shown, in words; empty if everything is."""
        if not self.n_hidden:
            return ""
        more = count(self.n_hidden, "more module")
        if self.by == "proxy error":
            hidden = f"{more} with higher errors not shown"
            with_weight = (
                f", {self.n_hidden_weighted:,} of them with weight ({self.hidden_weight:.2g} in all)"
            )
            return hidden + (with_weight if self.n_hidden_weighted else "")
        if not self.n_hidden_weighted:
            return f"{more} with weight 0 not shown"
        return (
            f"{more} not shown: {self.n_hidden - self.n_hidden_weighted:,} with weight 0, "
            f"{self.n_hidden_weighted:,} with {self.hidden_weight:.2g} together"
        )


def sorted_scores(result: AMCResult, by: Order = "weight") -> list[ModuleScore]:
    """Return the modules, best first; equal ones by the other measure, then by name."""
    if by == "weight":
        return sorted(result.modules, key=lambda s: (-s.weight, s.proxy_mae, s.module))
    return sorted(result.modules, key=lambda s: (s.proxy_mae, -s.weight, s.module))


def module_bars(result: AMCResult, by: Order = "weight", top: int = TOP) -> ModuleBars:
    """Return the first ``top`` modules of a composition, best first.

    Raises:
        InputError: the composition has no module.
    """
    if not result.modules:
        raise InputError(f"The composition for {result.task} has no module to draw.")
    scores = sorted_scores(result, by)
    shown, hidden = scores[:top], scores[top:]
    labels = distinct(shorten(plain(score.module), LABEL_LENGTH) for score in shown)
    return ModuleBars(
        bars=[
            ModuleBar(
                label=label,
                module=plain(score.module),
                predicts=plain(with_unit(score.property, score.unit)),
                weight=score.weight,
                proxy_mae=score.proxy_mae,
                proxy_mae_standardised=score.proxy_mae_standardised,
            )
            for label, score in zip(labels, shown, strict=True)
        ],
        by=by,
        quantity=plain(result.property),
        unit=plain(result.unit),
        n_modules=len(scores),
        n_hidden_weighted=sum(score.weight > 0 for score in hidden),
        hidden_weight=sum(score.weight for score in hidden),
    )


def growing_values(
    errors: Mapping[str, float],
    *,
    total: int,
    unit: str,
    weights: Mapping[str, float] | None = None,
    predicts: Mapping[str, str] | None = None,
    top: int = TOP,
) -> ModuleBars:
    """Return the modules that a running composition has encoded so far, lowest proxy error first.

    Args:
        errors: proxy MAE by module, in the downstream task's unit.
        total: modules that the composition will have.
        unit: of the errors.
        weights: by module, once they are known; a module without one is taken to have weight 0.
        predicts: property and unit by module.
        top: modules shown at most.
    """
    ordered = sorted(errors, key=lambda name: (not math.isfinite(errors[name]), errors[name], name))
    shown, hidden = ordered[:top], ordered[top:]
    labels = distinct(shorten(plain(name), LABEL_LENGTH) for name in shown)
    hidden_weights = [(weights or {}).get(name, 0.0) for name in hidden]
    return ModuleBars(
        bars=[
            ModuleBar(
                label=label,
                module=plain(name),
                predicts=plain((predicts or {}).get(name, "")) or "–",
                weight=None if weights is None else weights.get(name, 0.0),
                proxy_mae=errors[name],
                proxy_mae_standardised=None,
            )
            for label, name in zip(labels, shown, strict=True)
        ],
        by="proxy error",
        quantity="",
        unit=plain(unit),
        n_modules=max(total, len(errors)),
        n_hidden_weighted=sum(weight > 0 for weight in hidden_weights),
        hidden_weight=sum(hidden_weights),
        n_waiting=max(0, total - len(errors)),
    )
