"""Growth curves as a static SVG, for documents: a panel for each thing that grows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from moma_app.plots.theme import COLORS, series_color

if TYPE_CHECKING:
    from moma_app.bench.result import GrowthPoint

PANEL = (3.6, 3.3)
"""Width and height of a panel in inches."""
MARKERS = ("o", "s", "^", "D")


def growth_svg(points: Sequence[GrowthPoint]) -> str:
    """Draw time against size on logarithmic axes; a curve for each kind of work.

    Returns:
        The SVG, which is the same for the same points.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = [(axis, list(group)) for axis, group in groupby(points, key=lambda point: point.axis)]
    colors = COLORS["light"]
    look: Any = {
        "svg.hashsalt": "moma",
        "font.size": 10,
        "axes.edgecolor": colors.axis,
        "axes.labelcolor": colors.muted,
        "xtick.color": colors.ink,
        "ytick.color": colors.ink,
        "grid.color": colors.grid,
    }
    text = io.StringIO()
    with mpl.rc_context(look):
        figure = Figure(
            figsize=(PANEL[0] * len(panels), PANEL[1]), layout="constrained", facecolor=colors.surface
        )
        for panel, (axis, members) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            _draw_panel(panel, axis, members)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": "moma bench"})
    return text.getvalue()


def _draw_panel(panel: Any, axis: str, points: list[GrowthPoint]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    for index, (label, group) in enumerate(groupby(points, key=lambda point: point.label)):
        curve = list(group)
        panel.plot(
            [point.size for point in curve],
            [point.seconds for point in curve],
            color=series_color(index, "light"),
            marker=MARKERS[index % len(MARKERS)],
            markersize=5,
            label=label,
        )
    sizes = sorted({point.size for point in points})
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.set_xticks([], minor=True)
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(axis.capitalize())
    panel.set_ylabel("Seconds" if points[0].per == "all" else "Seconds per structure")
    panel.grid(visible=True)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=9)
