"""What a hub gains by new modules: the paper's Figure 6."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moma_app.errors import InputError
from moma_app.plots.drawing import PLAIN_TOOLS, beside, holoviews, hover, in_our_font
from moma_app.plots.text import count, number, plain, shorten
from moma_app.plots.theme import COLORS, Mode, series_color, styled

if TYPE_CHECKING:
    from moma_app.experiments.statistics import Line

HEIGHT = 420
NAMED = 24
"""Tasks up to which names stand beside the points, as far as they do not overlap."""


@dataclass(frozen=True)
class HubChange:
    """What new modules in the hub changed for one task; decreases are in % of the error before.

    Attributes:
        task: its name.
        proxy_decrease: in the proxy error of the composition, mean over the splits.
        mae_decrease: in the test MAE, mean over the splits.
        proxy_std, mae_std: standard deviations over the splits, where there are several.
        n: splits and seeds.
    """

    task: str
    proxy_decrease: float
    mae_decrease: float
    proxy_std: float | None = None
    mae_std: float | None = None
    n: int = 1


def continual_scatter(changes: Sequence[HubChange], line: Line | None, *, mode: Mode = "light") -> Any:
    """Draw the decrease in test MAE against that in proxy error (both in %), a point for each task.

    Args:
        changes: one for each task; those that are not finite are left out.
        line: least-squares line through the points with Pearson's r, as
            :func:`moma_app.experiments.continual.trend` gives it; ``None`` if there are too few.
        mode: light or dark.

    Raises:
        InputError: no task has finite decreases.
    """
    hv = holoviews()
    shown = [c for c in changes if math.isfinite(c.proxy_decrease) and math.isfinite(c.mae_decrease)]
    if not shown:
        raise InputError("No task has been computed with both hubs yet, so there is no change to draw.")
    x = [c.proxy_decrease for c in shown]
    across, up = _limits(x), _limits([c.mae_decrease for c in shown])
    zero = {"color": COLORS[mode].axis, "line_width": 1, "line_dash": "dotted"}
    layers = [hv.VLine(0).opts(**zero), hv.HLine(0).opts(**zero)]
    if line is not None:
        ends = [min(x), max(x)]
        layers.append(
            hv.Curve((ends, [line.intercept + line.slope * end for end in ends]), "x", "y").opts(
                color=series_color(1, mode), line_width=2, **PLAIN_TOOLS
            )
        )
    layers += [_points(shown, mode), *_names(shown, across, up, mode)]
    return hv.Overlay(layers).opts(
        title=_title(line, len(shown)),
        xlabel="Decrease in proxy error (%)",
        ylabel="Decrease in test MAE (%)",
        xlim=across,
        ylim=up,
        responsive=True,
        height=HEIGHT,
        min_width=400,
        max_width=900,
        show_grid=True,
        show_legend=False,
        toolbar=None,
        hooks=[styled(mode)],
        **PLAIN_TOOLS,
    )


def _title(line: Line | None, n: int) -> str:
    if line is None:
        why = "too few for a fit" if n < 3 else "no fit"
        return f"{count(n, 'task')}: {why}"
    interval = ""
    if line.low is not None and line.high is not None:
        interval = f" (95 % interval {number(line.low, 2)} to {number(line.high, 2)})"
    return f"Pearson r = {number(line.r, 2)}{interval}, n = {count(line.n, 'task')}; line: least squares"


def _points(shown: Sequence[HubChange], mode: Mode) -> Any:
    table = {
        "x": [c.proxy_decrease for c in shown],
        "y": [c.mae_decrease for c in shown],
        "task": [plain(c.task) for c in shown],
        "proxy": [_decrease_text(c.proxy_decrease, c.proxy_std) for c in shown],
        "mae": [_decrease_text(c.mae_decrease, c.mae_std) for c in shown],
        "n": [f"{c.n:,}" for c in shown],
    }
    box = hover(
        ("task", "task"),
        ("decrease in proxy error", "proxy"),
        ("decrease in test MAE", "mae"),
        ("splits and seeds", "n"),
    )
    return (
        holoviews()
        .Points(table, ["x", "y"], ["task", "proxy", "mae", "n"])
        .opts(
            color=series_color(0, mode),
            line_color=COLORS[mode].surface,
            size=10,
            tools=[box],
            **PLAIN_TOOLS,
        )
    )


def _decrease_text(decrease: float, std: float | None) -> str:
    return f"{number(decrease)} %" if std is None else f"{number(decrease)} ± {number(std, 2)} %"


def _names(
    shown: Sequence[HubChange], across: tuple[float, float], up: tuple[float, float], mode: Mode
) -> list[Any]:
    """Write the tasks beside their points, left or right, where they meet no other name or point."""
    if len(shown) > NAMED:
        return []
    width, height = across[1] - across[0], up[1] - up[0]
    letter, line = 7.0 / 640 * width, 16 / HEIGHT * height
    taken = [
        (
            c.proxy_decrease - letter,
            c.proxy_decrease + letter,
            c.mae_decrease - line / 3,
            c.mae_decrease + line / 3,
        )
        for c in shown
    ]
    sides: dict[str, list[tuple[float, float, str]]] = {"left": [], "right": []}
    for own, change in enumerate(shown):
        name = shorten(plain(change.task), 32)
        x, y, length = change.proxy_decrease, change.mae_decrease, letter * len(name)
        for align, start in (("left", x + letter), ("right", x - letter - length)):
            box = (start, start + length, y - line / 2, y + line / 2)
            inside = box[0] >= across[0] and box[1] <= across[1]
            if inside and not any(_meet(box, other) for i, other in enumerate(taken) if i != own):
                taken.append(box)
                sides[align].append((x, y, name))
                break
    return [
        holoviews()
        .Labels(labels, ["x", "y"], "text")
        .opts(
            text_color=COLORS[mode].muted,
            text_font_size="11px",
            text_align=align,
            hooks=[in_our_font, beside(8 if align == "left" else -8)],
            backend="bokeh",
        )
        for align, labels in sides.items()
        if labels
    ]


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return a range with a margin that holds the values and 0."""
    low, high = min(0.0, *values), max(0.0, *values)
    margin = 0.12 * (high - low) or 1.0
    return low - margin, high + margin
