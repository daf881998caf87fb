"""What one module contributes to tasks: its weight in the composition for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moma_app.errors import InputError
from moma_app.plots.bar_values import LABEL_LENGTH, TOP
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, two_lines
from moma_app.plots.rows import row_panel, row_rectangles, value_labels
from moma_app.plots.text import count, distinct, plain, shorten, weight_text
from moma_app.plots.theme import COLORS, Mode, series_color


@dataclass(frozen=True)
class TaskWeight:
    """A module's weight for one task.

    Attributes:
        task: the task, with the number of training structures if not all were used.
        weight: mean over the splits.
        std: standard deviation over the splits; ``None`` of fewer than two.
        splits: how many.
    """

    task: str
    weight: float
    std: float | None
    splits: int


def contribution_bars(weights: Sequence[TaskWeight], *, top: int = TOP, mode: Mode = "light") -> Any:
    """Draw a module's weight for each task as a bar with its standard deviation, largest first.

    Args:
        weights: of the tasks, one at least.
        top: tasks shown at most; the axis says how many more there are.
        mode: light or dark.

    Raises:
        InputError: there is no task.
    """
    if not weights:
        raise InputError("There is no composition yet in which the module took part.")
    hv = holoviews()
    ordered = sorted(weights, key=lambda item: (-item.weight, item.task))
    shown, hidden = ordered[:top], len(ordered) - top
    columns = {
        "task": [plain(item.task) for item in shown],
        "weight": [weight_text(item.weight) for item in shown],
        "spread": ["–" if item.std is None else f"±{item.std:.3f}" for item in shown],
        "splits": [f"{item.splits:,}" for item in shown],
    }
    box = hover(("task", "task"), ("weight", "weight"), ("std. dev.", "spread"), ("splits", "splits"))
    lengths = [item.weight for item in shown]
    ends = [item.weight + (item.std or 0.0) for item in shown]
    whiskers = [
        (max(0.0, item.weight - item.std), -row, item.weight + item.std, -row)
        for row, item in enumerate(shown)
        if item.std
    ]
    note = f"{count(hidden, 'more task')} with lower weights not shown" if hidden > 0 else ""
    return hv.Overlay(
        [
            row_rectangles(lengths, columns, [series_color(0, mode)] * len(shown), box),
            hv.Segments(whiskers).opts(color=COLORS[mode].ink, line_width=1.5, **PLAIN_TOOLS),
            value_labels(ends, columns["weight"], mode),
        ]
    ).opts(
        **row_panel(distinct(shorten(name, LABEL_LENGTH) for name in columns["task"]), mode),
        xlabel=two_lines("Composition weight, mean over splits", note),
        xlim=(0, 1.22 * max([end for end in ends if math.isfinite(end)], default=0.0) or 1.0),
    )
