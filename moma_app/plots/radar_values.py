"""Errors of several methods on several tasks, in units of one method's: the paper's Figure 4."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moma_app.errors import InputError, UnknownNameError
from moma_app.plots.text import plain


@dataclass(frozen=True)
class MethodErrors:
    """Test errors of one method.

    Attributes:
        method: its name ("AMC", "all-average", "bare backbone").
        errors: test MAE by task, in the task's unit, mean over the splits.
        spreads: standard deviations over the splits by task, where there are several.
        differences: by task, how much larger the errors are than the reference's, in %, where that is
            known better than from the mean errors: as the mean over pairs on the same split.
    """

    method: str
    errors: Mapping[str, float]
    spreads: Mapping[str, float] = field(default_factory=dict)
    differences: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RadarLine:
    """One method: its error divided by the reference's for each task, and where it has none, ``None``."""

    source: MethodErrors
    method: str
    ratios: list[float | None]


@dataclass(frozen=True)
class Radar:
    """What a radar chart shows.

    Attributes:
        tasks: the axes: tasks for which the reference has an error above 0.
        reference: the method whose error is 1.
        lines: the methods, in the order given.
        rings: ratios at which rings are drawn; the first is the centre, the last the rim.
        left_out: tasks without an error of the reference.
    """

    tasks: list[str]
    reference: str
    lines: list[RadarLine]
    rings: list[float]
    left_out: list[str]

    def radius(self, ratio: float) -> float:
        """Return the distance from the centre, 1 at the rim."""
        return (ratio - self.rings[0]) / (self.rings[-1] - self.rings[0])


def radar_values(methods: Sequence[MethodErrors], reference: str | None = None) -> Radar:
    """Divide each method's errors by the reference's, task by task.

    Args:
        methods: at least one.
        reference: name of a method; the first if ``None``.

    Raises:
        InputError: there is no method, two have the same name, or the reference has no error at all.
        UnknownNameError: the reference is not among the methods.
    """
    if not methods:
        raise InputError("A comparison of methods needs at least one method.")
    names = [method.method for method in methods]
    if len(set(names)) < len(names):
        raise InputError("Two methods of the comparison have the same name.")
    name = names[0] if reference is None else reference
    if name not in names:
        raise UnknownNameError("method in this comparison", name, names)
    base = methods[names.index(name)].errors
    everything = list(dict.fromkeys(task for method in methods for task in method.errors))
    tasks = [task for task in everything if _usable(base.get(task)) and base[task] > 0]
    if not tasks:
        raise InputError(f"{name} has no test error on any task, so nothing can be compared with it.")
    lines = [
        RadarLine(method, plain(method.method, 40), [_ratio(method, base, task) for task in tasks])
        for method in methods
    ]
    ratios = [ratio for line in lines for ratio in line.ratios if ratio is not None]
    return Radar(
        tasks=tasks,
        reference=plain(name, 40),
        lines=lines,
        rings=rings(min(ratios), max(ratios)),
        left_out=[task for task in everything if task not in tasks],
    )


def rings(low: float, high: float) -> list[float]:
    """Return round numbers from below ``low``, but not below 0, to ``high`` or above, at most seven."""
    span = max(high - low, 0.05)
    step = next(
        digit * 10.0**power
        for power in range(math.floor(math.log10(span)) - 1, 400)
        for digit in (1, 2, 5)
        if span <= 4 * digit * 10.0**power
    )
    first = max(0, math.ceil(low / step) - 2)
    last = max(first + 2, math.ceil(round(high / step, 9)))
    return [round(index * step, 12) for index in range(first, last + 1)]


def _ratio(method: MethodErrors, base: Mapping[str, float], task: str) -> float | None:
    error = method.errors.get(task)
    if error is None or not math.isfinite(error):
        return None
    difference = method.differences.get(task)
    return error / base[task] if difference is None else 1 + difference / 100


def _usable(error: float | None) -> bool:
    return error is not None and math.isfinite(error)
