"""The heat map of modules and tasks as files: CSV for a spreadsheet, SVG and PNG for a paper or talk."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from moma_app.plots.insight_order import Order, arranged, groups
from moma_app.plots.insight_values import (
    Insights,
    Scale,
    ranks,
    scale_of,
    short_value,
    shown_values,
)
from moma_app.plots.shades import readable_on, shade, shades
from moma_app.plots.text import plain, shorten
from moma_app.plots.theme import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 0.30
"""Width and height of a cell in inches, which leaves room for a number of 7 points."""
NARROW_CELL = 0.14
"""Width of a cell in inches where there are too many for numbers."""
WITH_NUMBERS = 40
NAME_LENGTH = 40
DPI = 200
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(insights: Insights, *, order: Order = "name") -> str:
    """Return the matrix as a table with a line for each task and module.

    Columns: task, module, kind, value (empty if not computed), unit, std and splits (if known), rank. Text that
    a spreadsheet would take for a formula is preceded by an apostrophe.
    """
    view = arranged(insights, order)
    places = ranks(view)
    values = view.array()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "module", "kind", "value", "unit", "std", "splits", "rank"])
    for row, task in enumerate(view.tasks):
        unit = "" if view.are_weights else view.units.get(task, "")
        for column, module in enumerate(view.modules):
            known = np.isfinite(values[row, column])
            writer.writerow(
                [
                    _cell_text(task),
                    _cell_text(module),
                    view.kind,
                    values[row, column] if known else "",
                    _cell_text(unit),
                    "" if view.stds is None else view.stds[row][column],
                    "" if view.splits is None else view.splits[row][column],
                    places[row][column],
                ]
            )
    return text.getvalue()


def to_svg(insights: Insights, *, order: Order = "name") -> str:
    """Return the heat map as an SVG, in light colours; it is the same for the same matrix."""
    drawn = io.StringIO()
    _save(insights, order, drawn, format="svg", metadata={"Date": None, "Creator": "moma-app"})
    return drawn.getvalue()


def to_png(insights: Insights, *, order: Order = "name", dpi: int = DPI) -> bytes:
    """Return the heat map as a PNG of ``dpi`` dots per inch, in light colours."""
    drawn = io.BytesIO()
    _save(insights, order, drawn, format="png", dpi=dpi, metadata={"Software": "moma-app"})
    return drawn.getvalue()


def _cell_text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _save(insights: Insights, order: Order, into: Any, **options: Any) -> None:
    import matplotlib as mpl

    colors = COLORS["light"]
    look: Any = {
        "svg.hashsalt": "moma",
        "svg.fonttype": "none",  # text stays text, which a publisher can set in another font
        "font.family": "sans-serif",
        "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
        "font.size": 8,
        "text.parse_math": False,
        "text.color": colors.ink,
        "axes.labelcolor": colors.muted,
        "xtick.color": colors.ink,
        "ytick.color": colors.ink,
        "hatch.linewidth": 0.5,
    }
    with mpl.rc_context(look):
        figure = _draw(arranged(insights, order), by_family=order == "family")
        figure.savefig(into, bbox_inches="tight", facecolor=colors.surface, **options)


def _draw(view: Insights, *, by_family: bool) -> Figure:
    from matplotlib.figure import Figure

    n_tasks, n_modules = len(view.tasks), len(view.modules)
    width = CELL if n_modules <= WITH_NUMBERS else NARROW_CELL
    figure = Figure(figsize=(width * n_modules, CELL * n_tasks))
    axes = figure.add_axes((0, 0, 1, 1))
    scale = scale_of(view)
    _draw_cells(axes, view, scale)
    names = [shorten(plain(name), NAME_LENGTH) for name in view.modules]
    axes.set_xticks(range(n_modules), names, rotation=90, fontsize=8 if width == CELL else 6)
    axes.set_yticks(range(n_tasks), [shorten(plain(name), NAME_LENGTH) for name in view.tasks])
    axes.tick_params(length=0)
    axes.set_xlabel("Hub module")
    axes.set_ylabel("Downstream task")
    axes.set_xlim(-0.5, n_modules - 0.5)
    axes.set_ylim(n_tasks - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if by_family:
        _draw_families(axes, view)
    _draw_legend(axes, view, scale, width)
    return figure


def _draw_cells(axes: Axes, view: Insights, scale: Scale) -> None:
    from matplotlib.collections import PolyCollection

    colors = COLORS["light"]
    values = shown_values(view)
    levels = scale.levels(values)
    fills: dict[tuple[int, int], str] = {}
    missing: list[tuple[int, int]] = []
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        if np.isnan(value):
            missing.append((row, column))
        else:
            fills[row, column] = shade(float(levels[row, column]), "light") if value > 0 else colors.raised
    line = 0.8 if len(view.modules) <= WITH_NUMBERS else 0
    axes.add_collection(
        PolyCollection(
            _corners(fills), facecolors=list(fills.values()), edgecolors=colors.surface, linewidths=line
        )
    )
    axes.add_collection(
        PolyCollection(
            _corners(missing), facecolors=colors.surface, edgecolors=colors.axis, linewidths=0, hatch="//////"
        )
    )
    if len(view.modules) > WITH_NUMBERS:
        return
    for (row, column), fill in fills.items():
        shown = float(values[row, column])
        color = readable_on(fill) if shown > 0 else colors.muted
        axes.text(
            column,
            row,
            short_value(view, shown),
            ha="center",
            va="center",
            fontsize=6.5,
            color=color,
        )


def _corners(cells: Iterable[tuple[int, int]]) -> list[list[tuple[float, float]]]:
    """Return the corners (x, y) of cells given as (row, column)."""
    square = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
    return [[(column + dx, row + dy) for dx, dy in square] for row, column in cells]


def _draw_families(axes: Axes, view: Insights) -> None:
    color = COLORS["light"].muted
    for name, first, last in groups(view.modules, view.family):
        axes.text((first + last) / 2, -0.7, name, rotation=90, ha="center", va="bottom")
        if first:
            axes.axvline(first - 0.5, color=color, linewidth=1)
    for name, first, last in groups(view.tasks, view.family):
        axes.text(len(view.modules) - 0.3, (first + last) / 2, name, ha="left", va="center")
        if first:
            axes.axhline(first - 0.5, color=color, linewidth=1)


def _draw_legend(axes: Axes, view: Insights, scale: Scale, width: float) -> None:
    """Draw the colour bar and what is grey or hatched below the map, in the same size for any map."""
    from matplotlib.colors import ListedColormap, LogNorm
    from matplotlib.patches import Patch

    colors = COLORS["light"]
    values = shown_values(view)
    inch_x, inch_y = 1 / (width * len(view.modules)), 1 / (CELL * len(view.tasks))
    below = 0.55 + 0.06 * max(len(shorten(name, NAME_LENGTH)) for name in view.modules)
    place = (0.0, -(below + 0.1) * inch_y, 2.2 * inch_x, 0.1 * inch_y)
    bar = axes.inset_axes(place)
    low, high = sorted((scale.first, scale.last))
    edges = np.geomspace(low, high, len(shades("light")) + 1)
    palette = ListedColormap(list(shades("light"))[:: 1 if scale.first < scale.last else -1])
    bar.pcolormesh(
        edges, [0, 1], [edges[:-1]], cmap=palette, norm=LogNorm(low, high), edgecolors="face", linewidth=0.4
    )
    bar.set_xscale("log")
    bar.set_xticks(list(scale.ticks), list(scale.ticks.values()))
    bar.set_xticks([], minor=True)
    bar.set_yticks([])
    bar.set_xlabel(scale.title)
    for spine in bar.spines.values():
        spine.set_visible(False)
    handles = []
    if (values == 0).any():
        handles.append(Patch(facecolor=colors.raised, edgecolor=colors.axis, linewidth=0.4, label="weight 0"))
    if np.isnan(values).any():
        handles.append(
            Patch(facecolor=colors.surface, edgecolor=colors.axis, hatch="//////", label="not computed")
        )
    if handles:
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(2.5 * inch_x, -below * inch_y),
            borderaxespad=0,
            frameon=False,
            handlelength=1.2,
        )
