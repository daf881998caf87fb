"""Errors against the size of the cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.plots.analysis_values import TestedRow
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, one_two_five
from moma_app.plots.text import count, plain, with_unit, with_unit_after
from moma_app.plots.theme import COLORS, Mode, series_color, styled

HEIGHT = 340
MOST_BINS = 12
ROWS_IN_BIN = 12
"""Rows that a median is taken of, at least, where there are more."""
FLOOR = 1e-3
"""Errors below this share of the median are drawn at it: the axis is logarithmic."""


def error_by_size(
    rows: Sequence[TestedRow], unit: str, *, most: int | None = 5000, mode: Mode = "light"
) -> Any:
    """Draw the absolute error of each test structure against its number of atoms, and the median along it.

    Both axes are logarithmic. Structures without error stand at the lower end.

    Args:
        rows: test structures; those whose error is not finite are left out.
        unit: of the errors.
        most: points drawn, evenly over the errors; medians are of all rows.
        mode: light or dark.

    Raises:
        InputError: no row has a finite error.
    """
    hv = holoviews()
    shown = [row for row in rows if math.isfinite(row.error) and row.n_atoms > 0]
    if not shown:
        raise InputError("No test structure has an error to draw against its size.")
    unit = plain(unit)
    errors = np.abs([row.error for row in shown])
    floor = FLOOR * (float(np.median(errors[errors > 0])) if errors.any() else 1.0)
    heights = np.maximum(errors, floor)
    sizes = np.array([row.n_atoms for row in shown])
    points = _points(shown, heights, unit, most, mode)
    line = medians(sizes.tolist(), heights.tolist())
    curve = hv.Curve(line, "atoms", "height").opts(color=series_color(1, mode), line_width=2.5, **PLAIN_TOOLS)
    marks = hv.Scatter(line, "atoms", "height").opts(
        color=series_color(1, mode), marker="square", size=7, **PLAIN_TOOLS
    )
    return hv.Overlay([points, curve, marks]).opts(
        title=f"Median of {count(len(line), 'group')} of like size (squares); {count(len(shown), 'structure')}",
        xlabel="Atoms in the cell",
        ylabel=with_unit("Absolute error", unit),
        logx=True,
        logy=True,
        xticks=one_two_five(min(sizes), max(sizes)),
        yticks=one_two_five(min(heights), max(heights)),
        xlim=(min(sizes) / 1.2, max(sizes) * 1.2),
        ylim=(min(heights) / 1.5, max(heights) * 1.5),
        responsive=True,
        height=HEIGHT,
        min_width=320,
        show_grid=True,
        show_legend=False,
        toolbar=None,
        hooks=[styled(mode, Title={"text_font_style": "normal", "text_color": COLORS[mode].muted})],
        **PLAIN_TOOLS,
    )


def _points(
    rows: Sequence[TestedRow], heights: NDArray[np.float64], unit: str, most: int | None, mode: Mode
) -> Any:
    drawn = list(range(len(rows)))
    if most is not None and len(rows) > most:
        drawn = np.argsort(heights, kind="stable")[np.linspace(0, len(rows) - 1, most).astype(int)].tolist()
    table = {
        "atoms": [rows[i].n_atoms for i in drawn],
        "height": [float(heights[i]) for i in drawn],
        "id": [plain(rows[i].id, 80) for i in drawn],
        "formula": [plain(rows[i].formula, 80) or "–" for i in drawn],
        "n": [f"{rows[i].n_atoms:,}" for i in drawn],
        "text": [with_unit_after(rows[i].error, unit) for i in drawn],
    }
    box = hover(("formula", "formula"), ("id", "id"), ("atoms", "n"), ("error", "text"))
    few = len(drawn) <= 1000
    return (
        holoviews()
        .Scatter(table, "atoms", ["height", "id", "formula", "n", "text"])
        .opts(
            color=series_color(0, mode),
            size=6 if few else 4,
            alpha=0.6 if few else 0.3,
            tools=[box],
            **PLAIN_TOOLS,
        )
    )


def medians(sizes: Sequence[int], values: Sequence[float]) -> list[tuple[float, float]]:
    """Return (median size, median value) of groups of neighbouring sizes, a size never being split.

    There are at most 12 groups, of at least 12 rows where there are so many.
    """
    order = np.argsort(np.asarray(sizes), kind="stable")
    x, y = np.asarray(sizes)[order], np.asarray(values)[order]
    n_groups = max(1, min(MOST_BINS, len(x) // ROWS_IN_BIN))
    cuts = np.unique(np.searchsorted(x, x[[len(x) * i // n_groups for i in range(n_groups)]]))
    pairs = zip(np.split(x, cuts[1:]), np.split(y, cuts[1:]), strict=True)
    return [(float(np.median(a)), float(np.median(b))) for a, b in pairs]
