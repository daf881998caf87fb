"""What modules are worth to tasks, as a heat map: the paper's Figure 7."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from moma_app.plots.drawing import PLAIN_TOOLS, color_bar, holoviews, hover, in_our_font, two_lines
from moma_app.plots.insight_order import Order, arranged, groups
from moma_app.plots.insight_values import (
    Insights,
    Scale,
    ranks,
    scale_of,
    short_value,
    shown_values,
    stability_text,
    value_text,
)
from moma_app.plots.shades import readable_on, shade, shades
from moma_app.plots.text import count, distinct, plain, shorten
from moma_app.plots.theme import COLORS, Mode, styled

WITH_NUMBERS = 20
"""Columns up to which the cells have room for their numbers."""
WITH_NAMES = 60
"""Rows or columns up to which each has its name; beyond, the hover box tells it."""
NAME_LENGTH = 28
_COLUMNS = ("task", "measures", "module", "predicts", "value", "rank", "spread")
_EDGES = ["left", "bottom", "right", "top"]


def insight_heatmap(insights: Insights, *, order: Order = "name", mode: Mode = "light") -> Any:
    """Draw hub modules (x) against downstream tasks (y), a shade for each weight or proxy error.

    The best stand out most (darkest; brightest in dark mode). Weights have a fixed logarithmic scale, so that two
    maps can be compared; proxy errors are shaded by their ratio to the task's lowest. Weight 0 is a
    flat grey, what was not computed is hatched. :mod:`moma_app.plots.taps` tells which cell was clicked.

    The figure fills the width it is given, but is not narrower than its cells need: put a map of a
    large hub where it can scroll sideways.

    Args:
        insights: the matrix.
        order: of rows and columns.
        mode: light or dark.
    """
    view = arranged(insights, order)
    scale = scale_of(view)
    n_modules = len(view.modules)
    cell = 36 if n_modules <= WITH_NUMBERS else 16 if n_modules <= WITH_NAMES else 5
    families = [_family_axes(view)] if order == "family" else []
    layers = _cells(view, scale, mode)
    if n_modules <= WITH_NUMBERS:
        layers += _numbers(view, scale, mode)
    if order == "family":
        layers.append(_family_lines(view, mode))
    bare = {"axis_line_color": None, "major_tick_line_color": None}
    return (
        holoviews()
        .Overlay(layers)
        .opts(
            xlabel=two_lines("Hub module", _note(view)),
            ylabel="Downstream task",
            xticks=_ticks(view.modules, 1),
            yticks=_ticks(view.tasks, -1),
            xrotation=0 if n_modules <= 3 else 45 if n_modules <= 24 else 90,
            xlim=(-0.5, n_modules - 0.5),
            ylim=(-(len(view.tasks) - 0.5), 0.5),
            responsive=True,
            frame_height=_row_height(len(view.tasks)) * len(view.tasks),
            min_width=240 + cell * n_modules,
            max_width=300 + 96 * n_modules,
            show_legend=False,
            toolbar=None,
            hooks=[
                *families,
                styled(mode, Grid={"grid_line_color": None}, XAxis=bare, YAxis=bare),
            ],
            **PLAIN_TOOLS,
        )
    )


def _cells(view: Insights, scale: Scale, mode: Mode) -> list[Any]:
    """Return the cells as three layers: with a shade, weight 0, and not computed."""
    hv = holoviews()
    colors = COLORS[mode]
    values = shown_values(view)
    cells = [(row, column) for row in range(len(view.tasks)) for column in range(len(view.modules))]
    missing = [cell for cell in cells if math.isnan(values[cell])]
    shaded = [cell for cell in cells if values[cell] > 0]
    zero = [cell for cell in cells if values[cell] <= 0]
    look = {
        "line_color": colors.surface,
        "line_width": 1 if len(view.modules) <= WITH_NAMES else 0,
        "tools": [_box()],
        **PLAIN_TOOLS,
    }
    table = _Table(view)
    low, high = sorted((scale.first, scale.last))
    return [
        hv.Rectangles(
            {**table.of(shaded), "shown": [values[cell] for cell in shaded]}, _EDGES, ["shown", *_COLUMNS]
        ).opts(
            color="shown",
            cmap=list(shades(mode))[:: 1 if scale.first < scale.last else -1],
            cnorm="log",
            clim=(low, high),
            **color_bar(scale.title, scale.ticks, mode),
            **look,
        ),
        hv.Rectangles(table.of(zero), _EDGES, list(_COLUMNS)).opts(color=colors.raised, **look),
        hv.Rectangles(table.of(missing), _EDGES, list(_COLUMNS)).opts(
            color=colors.surface, hooks=[_hatched(mode)], **look
        ),
    ]


class _Table:
    """Edges and texts of cells."""

    def __init__(self, view: Insights) -> None:
        self._view = view
        self._places = ranks(view)
        self._known = [sum(place is not None for place in row) for row in self._places]
        self._names = {name: plain(name) for name in (*view.tasks, *view.modules)}

    def of(self, cells: Sequence[tuple[int, int]]) -> dict[str, list[Any]]:
        """Return the columns of some cells, given as (row, column)."""
        view = self._view
        return {
            "left": [column - 0.5 for _, column in cells],
            "bottom": [-row - 0.5 for row, _ in cells],
            "right": [column + 0.5 for _, column in cells],
            "top": [-row + 0.5 for row, _ in cells],
            "task": [self._names[view.tasks[row]] for row, _ in cells],
            "measures": [view.quantity(view.tasks[row]) or "–" for row, _ in cells],
            "module": [self._names[view.modules[column]] for _, column in cells],
            "predicts": [view.quantity(view.modules[column]) or "–" for _, column in cells],
            "value": [value_text(view, *cell) for cell in cells],
            "rank": [self._rank(*cell) for cell in cells],
            "spread": [stability_text(view, *cell) for cell in cells],
        }

    def _rank(self, row: int, column: int) -> str:
        place = self._places[row][column]
        return "–" if place is None else f"{place} of {self._known[row]}"


def _box() -> Any:
    return hover(
        ("module", "module"),
        ("trained on", "predicts"),
        ("task", "task"),
        ("property", "measures"),
        ("value", "value"),
        ("rank", "rank"),
        ("spread", "spread"),
    )


def _hatched(mode: Mode) -> Any:
    def hook(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
        plot.handles["glyph"].update(
            hatch_pattern="right_diagonal_line",
            hatch_color=COLORS[mode].axis,
            hatch_alpha=0.6,
            hatch_scale=8,
            hatch_weight=1,
        )

    return hook


def _numbers(view: Insights, scale: Scale, mode: Mode) -> list[Any]:
    """Write the values into their cells, in the colour that can be read on the shade."""
    values = shown_values(view)
    levels = scale.levels(values)
    by_color: dict[str, list[tuple[float, float, str]]] = {}
    for row, column in zip(*(values >= 0).nonzero(), strict=True):
        value = float(values[row, column])
        color = COLORS[mode].muted
        if value > 0:
            color = readable_on(shade(float(levels[row, column]), mode))
        by_color.setdefault(color, []).append((float(column), -float(row), short_value(view, value)))
    return [
        holoviews()
        .Labels(labels, ["x", "y"], "text")
        .opts(text_color=color, text_font_size="11px", hooks=[in_our_font], backend="bokeh")
        for color, labels in by_color.items()
    ]


def _family_lines(view: Insights, mode: Mode) -> Any:
    """Draw a line between families."""
    right, bottom = len(view.modules) - 0.5, -len(view.tasks) + 0.5
    lines = [(first - 0.5, bottom, first - 0.5, 0.5) for _, first, _ in groups(view.modules, view.family)]
    lines += [(-0.5, 0.5 - first, right, 0.5 - first) for _, first, _ in groups(view.tasks, view.family)]
    inner = [line for line in lines if (line[0], line[1]) != (-0.5, bottom) and line[1] != 0.5]
    return holoviews().Segments(inner).opts(color=COLORS[mode].muted, line_width=1.5, **PLAIN_TOOLS)


def _family_axes(view: Insights) -> Any:
    """Return a hook that writes the families above the columns and to the right of the rows."""
    columns = groups([plain(view.family(name)) for name in view.modules], str)
    rows = groups([plain(view.family(name)) for name in view.tasks], str)

    def hook(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
        from bokeh.models import FixedTicker, LinearAxis

        for runs, side, sign in ((columns, "above", 1), (rows, "right", -1)):
            ticks = {sign * (first + last) / 2: name for name, first, last in runs}
            axis = LinearAxis(
                ticker=FixedTicker(ticks=list(ticks)),
                major_label_overrides=ticks,
                major_label_orientation=math.pi / 4 if side == "above" else "horizontal",
            )
            # First in its list: between the cells and the colour bar.
            setattr(plot.state, side, [axis, *getattr(plot.state, side)])

    return hook


def _ticks(names: Sequence[str], sign: int) -> list[tuple[int, str]]:
    if len(names) > WITH_NAMES:
        return [(0, "")]
    labels = distinct(shorten(plain(name), NAME_LENGTH) for name in names)
    return [(sign * i, label) for i, label in enumerate(labels)]


def _note(view: Insights) -> str:
    values = shown_values(view)
    said = []
    if len(view.modules) > WITH_NAMES:
        said.append(f"{count(len(view.modules), 'module')}: point at a cell for its name")
    if (values == 0).any():
        said.append("grey: weight 0")
    if not (values >= 0).all():
        said.append("hatched: not computed")
    return "; ".join(said)


def _row_height(n_rows: int) -> int:
    return 26 if n_rows <= 40 else 18 if n_rows <= WITH_NAMES else 8
