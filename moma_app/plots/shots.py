"""Test error against the number of training structures: the paper's Figure 5."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from moma_app.errors import InputError
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover
from moma_app.plots.text import count, number, plain, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, Mode, marker, series_color, styled

Spread = Literal["std", "range"]
HEIGHT = 380
_DODGE = 1.035
"""Factor between the learners at the same number of structures, so that whiskers do not hide each other."""


@dataclass(frozen=True)
class ShotErrors:
    """Test errors of a learner trained on ``n_train`` structures.

    Attributes:
        learner: its name ("MoMa", "bare backbone").
        shots: structures drawn from the train split; ``None`` for all of it.
        n_train: structures it was trained on, the mean over splits and seeds.
        errors: test MAE in the task's unit, by what was repeated ("split 0", "split 0, seed 1").
    """

    learner: str
    shots: int | None
    n_train: float
    errors: Mapping[str, float]


@dataclass(frozen=True)
class ShotPoint:
    """Mean and whiskers of one learner at one number of structures."""

    n_train: float
    mean: float
    low: float
    high: float
    n_fits: int


def shot_lines(results: Sequence[ShotErrors], spread: Spread = "std") -> dict[str, list[ShotPoint]]:
    """Return each learner's points by number of structures; results without a finite error are left out.

    Args:
        results: errors by learner and number of structures.
        spread: whiskers are ``std``: mean ± standard deviation over splits and seeds (n - 1), or ``range``: lowest and
            highest.

    Raises:
        InputError: no result has an error.
    """
    lines: dict[str, list[ShotPoint]] = {}
    for result in sorted(results, key=lambda r: r.n_train):
        errors = np.array([error for error in result.errors.values() if math.isfinite(error)])
        if not len(errors) or result.n_train <= 0:
            continue
        mean, std = float(errors.mean()), float(errors.std(ddof=1)) if len(errors) > 1 else 0.0
        ends = (mean - std, mean + std) if spread == "std" else (float(errors.min()), float(errors.max()))
        lines.setdefault(result.learner, []).append(ShotPoint(result.n_train, mean, *ends, len(errors)))
    if not lines:
        raise InputError("There is no test error to draw against the number of training structures.")
    return {name: lines[name] for name in dict.fromkeys(r.learner for r in results) if name in lines}


def error_against_shots(
    results: Sequence[ShotErrors], *, unit: str, spread: Spread = "std", mode: Mode = "light"
) -> Any:
    """Draw test MAE against the number of training structures, a line for each learner.

    Whiskers are the spread over splits and seeds, faint points the single fits. The number of structures is
    logarithmic; the whole train split stands where its size belongs, as "full".

    Args:
        results: errors by learner and number of structures.
        unit: of the errors.
        spread: what the whiskers are.
        mode: light or dark.
    """
    hv = holoviews()
    unit = plain(unit)
    layers = []
    lines = shot_lines(results, spread)
    for index, (learner, points) in enumerate(lines.items()):
        shift = _DODGE ** (index - (len(lines) - 1) / 2)
        own = [result for result in results if result.learner == learner]
        layers += _line(points, plain(learner, 40), index, shift=shift, unit=unit, mode=mode)
        layers.insert(0, _single_fits(own, index, shift, unit, mode))
    ends = [p.n_train for points in lines.values() for p in points]
    return hv.Overlay(layers).opts(
        title=_title(lines, spread),
        xlabel="Training structures",
        ylabel=with_unit("Test MAE", unit),
        logx=True,
        xlim=(min(ends) / 1.3, max(ends) * 1.3),
        xticks=_ticks(results),
        ylim=_limits(results, lines),
        responsive=True,
        height=HEIGHT,
        min_width=420,
        show_grid=True,
        show_legend=True,
        legend_position="top_right",
        legend_limit=len(layers) + 1,
        toolbar=None,
        hooks=[styled(mode, Title={"text_font_style": "normal", "text_color": COLORS[mode].muted})],
        **PLAIN_TOOLS,
    )


def _line(
    points: Sequence[ShotPoint], learner: str, index: int, *, shift: float, unit: str, mode: Mode
) -> list[Any]:
    hv = holoviews()
    color = series_color(index, mode)
    x = [point.n_train * shift for point in points]
    mean = [point.mean for point in points]
    table = {
        "n": x,
        "mae": mean,
        "learner": [learner] * len(points),
        "structures": [f"{point.n_train:,.0f}" for point in points],
        "text": [with_unit_after(point.mean, unit) for point in points],
        "spread": [_spread_text(point, unit) for point in points],
        "splits": [str(point.n_fits) for point in points],
    }
    whiskers = (x, mean, [p.mean - p.low for p in points], [p.high - p.mean for p in points])
    box = hover(
        ("learner", "learner"),
        ("training structures", "structures"),
        ("test MAE", "text"),
        ("spread", "spread"),
        ("fits", "splits"),
    )
    return [
        hv.Curve((x, mean), "n", "mae").opts(color=color, line_width=2, **PLAIN_TOOLS),
        hv.ErrorBars(whiskers, "n", ["mae", "minus", "plus"]).opts(
            line_color=color, line_width=1.5, upper_head=None, lower_head=None, backend="bokeh"
        ),
        hv.Scatter(
            table, "n", ["mae", "learner", "structures", "text", "spread", "splits"], label=learner or "–"
        ).opts(color=color, marker=marker(index), size=9, tools=[box], **PLAIN_TOOLS),
    ]


def _single_fits(own: Sequence[ShotErrors], index: int, shift: float, unit: str, mode: Mode) -> Any:
    rows = [
        (result.n_train * shift, error, plain(result.learner, 40), plain(split), with_unit_after(error, unit))
        for result in own
        for split, error in result.errors.items()
        if math.isfinite(error)
    ]
    box = hover(("learner", "learner"), ("single fit", "split"), ("test MAE", "text"))
    return (
        holoviews()
        .Scatter(rows, "n", ["mae", "learner", "split", "text"])
        .opts(
            color=series_color(index, mode),
            marker=marker(index),
            size=5,
            alpha=0.35,
            tools=[box],
            **PLAIN_TOOLS,
        )
    )


def _spread_text(point: ShotPoint, unit: str) -> str:
    if point.n_fits < 2:
        return "–"
    return f"{number(point.low)} to {number(point.high)} {unit}".rstrip()


def _title(lines: Mapping[str, Sequence[ShotPoint]], spread: Spread) -> str:
    n_fits = [point.n_fits for points in lines.values() for point in points]
    if max(n_fits) < 2:
        return "Single fits, so no spread"
    whiskers = "±1 standard deviation" if spread == "std" else "lowest to highest"
    least, most = min(n_fits), max(n_fits)
    over = count(most, "fit") if least == most else f"{least} to {most} fits"
    return f"Mean and whiskers ({whiskers}) over {over}; faint: single fits"


def _ticks(results: Sequence[ShotErrors]) -> list[tuple[float, str]]:
    """Return the numbers of structures that occur; where two are all but equal, the whole split has the say."""
    ticks: list[tuple[float, str]] = []
    for result in sorted(results, key=lambda r: (r.shots is not None, r.n_train)):
        if result.n_train > 0 and all(
            abs(math.log(result.n_train / other)) > math.log(1.3) for other, _ in ticks
        ):
            label = f"{result.n_train:,.0f}"
            ticks.append((result.n_train, f"{label}\nfull" if result.shots is None else label))
    return sorted(ticks)


def _limits(results: Sequence[ShotErrors], lines: Mapping[str, Sequence[ShotPoint]]) -> tuple[float, float]:
    values = [e for result in results for e in result.errors.values() if math.isfinite(e)]
    values += [end for points in lines.values() for point in points for end in (point.low, point.high)]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return max(0.0, low - margin) if low >= 0 else low - margin, high + 2.5 * margin
