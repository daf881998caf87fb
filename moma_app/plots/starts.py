"""Test errors of fits that started from different places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from moma_app.errors import InputError
from moma_app.plots.bar_values import LABEL_LENGTH
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, two_lines
from moma_app.plots.rows import row_panel, row_rectangles, value_labels
from moma_app.plots.text import count, distinct, number, plain, shorten, signed_percent, with_unit
from moma_app.plots.theme import COLORS, Mode, series_color


@dataclass(frozen=True)
class StartErrors:
    """Test MAE of fits of one task that began alike, in the task's unit.

    Attributes:
        start: what they began with ("composed module", "mp_gvrh", "bare backbone", "scratch").
        errors: one for each split or seed; those that are not finite are left out.
    """

    start: str
    errors: Sequence[float]

    @property
    def finite(self) -> list[float]:
        """The errors that are finite numbers."""
        return [error for error in self.errors if math.isfinite(error)]

    @property
    def mean(self) -> float:
        """Mean over splits and seeds; NaN of none."""
        return float(np.mean(self.finite)) if self.finite else math.nan

    @property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1); ``None`` of fewer than two."""
        return float(np.std(self.finite, ddof=1)) if len(self.finite) > 1 else None


def comparison_bars(starts: Sequence[StartErrors], *, unit: str, mode: Mode = "light") -> Any:
    """Draw the test MAE of each start as a bar with its standard deviation, in the order given.

    The hover box has the difference to the first.

    Raises:
        InputError: no start has an error.
    """
    if not any(start.finite for start in starts):
        raise InputError("There is no test error to compare yet.")
    hv = holoviews()
    unit = plain(unit)
    means = [start.mean for start in starts]
    ends = [start.mean + (start.std or 0.0) for start in starts]
    texts = [_value_text(start) for start in starts]
    labels = distinct(shorten(plain(start.start) or "fit", LABEL_LENGTH) for start in starts)
    columns = {
        "start": [plain(start.start) for start in starts],
        "mae": [f"{text} {unit}".rstrip() for text in texts],
        "fits": [f"{len(start.finite):,}" for start in starts],
        "against": [_against(start, starts[0]) for start in starts],
    }
    box = hover(("start", "start"), ("test MAE", "mae"), ("fits", "fits"), ("against the first", "against"))
    colors = [series_color(index, mode) for index in range(len(starts))]
    whiskers = [
        (start.mean - start.std, -row, start.mean + start.std, -row)
        for row, start in enumerate(starts)
        if start.std is not None
    ]
    spread = f"whiskers: ±1 standard deviation over {_fits(starts)}" if whiskers else ""
    return hv.Overlay(
        [
            row_rectangles(means, columns, colors, box),
            hv.Segments(whiskers).opts(color=COLORS[mode].ink, line_width=1.5, **PLAIN_TOOLS),
            value_labels(ends, texts, mode),
        ]
    ).opts(
        **row_panel(labels, mode),
        xlabel=two_lines(with_unit("Test MAE", unit), spread),
        xlim=(0, 1.3 * max(end for end in ends if math.isfinite(end)) or 1.0),
    )


def _value_text(start: StartErrors) -> str:
    return number(start.mean) if start.std is None else f"{number(start.mean)} ± {number(start.std, 2)}"


def _against(start: StartErrors, first: StartErrors) -> str:
    if start is first:
        return "–"
    change = 100 * (start.mean / first.mean - 1) if first.mean else math.nan
    return signed_percent(change) if math.isfinite(change) else "–"


def _fits(starts: Sequence[StartErrors]) -> str:
    numbers = {len(start.finite) for start in starts if start.std is not None}
    return count(max(numbers), "fit") if len(numbers) == 1 else f"{min(numbers)} to {max(numbers)} fits"
