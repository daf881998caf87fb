"""What modules are worth to tasks: the matrix behind the paper's Figure 7, its scale and its ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.plots.text import count, number, plain, weight_text, with_unit, with_unit_after

Kind = Literal["weight", "proxy error", "published weight"]
Matrix = Sequence[Sequence[float | None]]

LOWEST_WEIGHT = 1e-3
"""Weights up to this have the first shade. A fixed scale, so that two maps can be compared by eye."""
HIGHEST_RATIO = 3.0
"""Proxy errors from this many times the task's lowest have the first shade, at most."""


@dataclass(frozen=True)
class Insights:
    """Weights or proxy errors of hub modules (columns) for downstream tasks (rows).

    Attributes:
        modules, tasks: names; no two modules and no two tasks have the same.
        values: [n_tasks][n_modules], means over the splits; ``None`` or not finite: not computed.
            Proxy errors are in the task's unit.
        kind: what the values are.
        stds: [n_tasks][n_modules], standard deviations over the splits.
        splits: [n_tasks][n_modules], how many splits a value is the mean of.
        properties: of modules and tasks by name ("bulk modulus").
        units: of the properties by the name of the module or task.
        families: physical families of modules and tasks by name ("mechanical").
    """

    modules: list[str]
    tasks: list[str]
    values: Matrix
    kind: Kind = "weight"
    stds: Matrix | None = None
    splits: Sequence[Sequence[int]] | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, names in (("module", self.modules), ("task", self.tasks)):
            if not names:
                raise InputError(f"A heat map needs at least one {what}.")
            if len(set(names)) < len(names):
                raise InputError(f"A heat map cannot show two {what}s of the same name.")
        for what, rows in (("values", self.values), ("stds", self.stds), ("splits", self.splits)):
            if rows is not None and [len(row) for row in rows] != [len(self.modules)] * len(self.tasks):
                expected = f"{count(len(self.tasks), 'row')} of {len(self.modules):,}"
                raise InputError(f"The {what} of the heat map must have {expected}, one for each module.")

    @property
    def are_weights(self) -> bool:
        """Whether the values are weights, which have no unit; else they are errors."""
        return self.kind != "proxy error"

    def array(self) -> NDArray[np.float64]:
        """Return the values [n_tasks, n_modules]; NaN where there is none."""
        values = np.array(self.values, dtype=np.float64)
        values[~np.isfinite(values)] = np.nan
        return values

    def quantity(self, name: str) -> str:
        """Return property and unit of a module or task, as one line; empty if the property is unknown."""
        return plain(with_unit(self.properties.get(name, ""), self.units.get(name, "")))

    def family(self, name: str) -> str:
        """Return the family of a module or task."""
        return plain(self.families.get(name, "")) or "other"


@dataclass(frozen=True)
class Scale:
    """How values become shades: logarithmically, from ``first`` (shade 0) to ``last`` (shade 1).

    Attributes:
        first, last: values of the ends; ``first`` > ``last`` where lower is better.
        title: what is shown and which way.
        ticks: values to be labelled, with their labels.
    """

    first: float
    last: float
    title: str
    ticks: dict[float, str]

    def levels(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the levels in [0, 1] of positive values; NaN stays NaN."""
        low, high = sorted((self.first, self.last))
        share = np.log(np.clip(values, low, high) / low) / math.log(high / low)
        return share if self.first < self.last else 1 - share


def shown_values(insights: Insights) -> NDArray[np.float64]:
    """Return what the shades stand for [n_tasks, n_modules]: weights, or errors relative to each task's lowest.

    Proxy errors of different tasks have different units; their ratios can share a map.
    """
    values = insights.array()
    if insights.are_weights:
        return values
    known = np.where(np.isnan(values), np.inf, values)
    best = np.maximum(known.min(axis=1, keepdims=True), np.finfo(float).tiny)
    ratio: NDArray[np.float64] = values / best
    return np.maximum(ratio, 1.0)


def scale_of(insights: Insights) -> Scale:
    """Return the scale of the shades."""
    if insights.are_weights:
        title = "Published weight" if insights.kind == "published weight" else "Composition weight"
        over = ", mean over splits" if insights.splits or insights.kind == "published weight" else ""
        ticks = {LOWEST_WEIGHT: "≤0.001", 0.01: "0.01", 0.1: "0.1", 1.0: "1"}
        return Scale(LOWEST_WEIGHT, 1.0, title + over, ticks)
    ratios = shown_values(insights)
    known = ratios[np.isfinite(ratios)]
    most = min(HIGHEST_RATIO, max(1.05, float(known.max()) if len(known) else 1.05))
    middle = math.sqrt(most)
    clipped = "≥" if len(known) and known.max() > most else ""
    ticks = {1.0: "1 (lowest)", middle: number(middle), most: clipped + number(most)}
    return Scale(most, 1.0, "Proxy error divided by the task's lowest", ticks)


def ranks(insights: Insights) -> list[list[int | None]]:
    """Return each module's place for each task: 1 for the highest weight or lowest error; equals share a place."""
    values = insights.array()
    if insights.are_weights:
        values = -values
    return [
        [None if math.isnan(value) else 1 + int(np.sum(row < value)) for value in row.tolist()]
        for row in values
    ]


def value_text(insights: Insights, row: int, column: int) -> str:
    """Write a value with its unit."""
    value = insights.values[row][column]
    if value is None or not math.isfinite(value):
        return "not computed"
    if insights.are_weights:
        return weight_text(value)
    return with_unit_after(value, plain(insights.units.get(insights.tasks[row], "")))


def short_value(insights: Insights, value: float) -> str:
    """Write one of :func:`shown_values` so that it fits into a cell."""
    if value == 0:
        return "0"
    return "<.01" if insights.are_weights and value < 0.005 else f"{value:.2f}"


def stability_text(insights: Insights, row: int, column: int) -> str:
    """Write how much a value varies over the splits, and over how many: ±0.021 over 5 splits."""
    n = None if insights.splits is None else insights.splits[row][column]
    std = None if insights.stds is None else insights.stds[row][column]
    over = "" if n is None else f" over {count(n, 'split')}"
    if std is None or not math.isfinite(std) or n == 1:
        return "–" if n is None else f"–{over}"
    return f"±{number(std, 2)}{over}"
