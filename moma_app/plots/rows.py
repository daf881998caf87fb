"""Bar charts of named rows, the first at the top: their bars, the numbers beside them, and their frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from moma_app.plots.drawing import FOLLOWING, PLAIN_TOOLS, beside, holoviews, in_our_font
from moma_app.plots.theme import COLORS, TICK_SIZE, Mode, styled

ROW_HEIGHT = 24
"""Pixels for one row."""


def row_rectangles(
    lengths: Sequence[float], columns: Mapping[str, Sequence[Any]], colors: Sequence[str], box: Any
) -> Any:
    """Draw bars from zero; a length that is not finite is drawn as none.

    Args:
        lengths: of the bars, first row first.
        columns: more of each row, for the hover box.
        colors: of the bars.
        box: hover box.
    """
    table = {
        "left": [0.0] * len(lengths),
        "bottom": [-row - 0.36 for row in range(len(lengths))],
        "right": [length if math.isfinite(length) else math.nan for length in lengths],
        "top": [-row + 0.36 for row in range(len(lengths))],
        "color": list(colors),
        **columns,
    }
    return (
        holoviews()
        .Rectangles(table, ["left", "bottom", "right", "top"], ["color", *columns])
        .opts(color="color", line_color=None, tools=[box], **FOLLOWING, **PLAIN_TOOLS)
    )


def value_labels(lengths: Sequence[float], texts: Sequence[str], mode: Mode) -> Any:
    """Write texts beside the ends of the bars."""
    table = {
        "x": [length if math.isfinite(length) else 0.0 for length in lengths],
        "y": [-float(row) for row in range(len(lengths))],
        "text": list(texts),
    }
    return (
        holoviews()
        .Labels(table, ["x", "y"], "text")
        .opts(
            text_color=COLORS[mode].muted,
            text_font_size=TICK_SIZE,
            text_align="left",
            text_baseline="middle",
            backend="bokeh",
            hooks=[in_our_font, beside(6)],
        )
    )


def row_panel(
    labels: Sequence[str], mode: Mode, *, rows: int | None = None, left: int = 0, ygrid: bool = False
) -> dict[str, Any]:
    """Return the options of a panel with a row for each label.

    Args:
        labels: of the rows.
        mode: light or dark.
        rows: to keep room for, where more are to come.
        left: pixels to keep for labels to come.
        ygrid: draw a line along each row.
    """
    n_rows = len(labels) if rows is None else rows
    grids = {} if ygrid else {"YGrid": {"grid_line_color": None}}
    bare = {"major_tick_line_color": None, "axis_line_color": None}
    borders = {"Plot": {"min_border_left": left}} if left else {}
    return {
        "ylabel": "",
        "yticks": [(-row, label) for row, label in enumerate(labels)] or [(0, "")],
        "ylim": (-(n_rows - 1) - 0.6, 0.6),
        "height": max(3, n_rows) * ROW_HEIGHT + 78,
        "responsive": True,
        "show_grid": True,
        "show_legend": False,
        "min_width": 340 if left or any(labels) else 240,
        "toolbar": None,
        "hooks": [styled(mode, YAxis=bare, **grids, **borders)],
        **PLAIN_TOOLS,
    }
