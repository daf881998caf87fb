"""What the figures share: HoloViews itself, hover boxes, and the frame of a square figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from moma_app.plots.text import number, shorten
from moma_app.plots.theme import COLORS, FONT, TICK_SIZE, Mode

PLAIN_TOOLS: dict[str, Any] = {"default_tools": [], "backend": "bokeh"}
"""Options of every element: only the tools that a figure names."""
FOLLOWING: dict[str, Any] = {"framewise": True}
"""Options of an element whose axes follow its data when these change in place."""
SQUARE = 520
"""Width in pixels up to which a square figure is made to grow."""
SQUARE_BORDERS = {
    "min_border_left": 72,
    "min_border_right": 36,
    "min_border_top": 36,
    "min_border_bottom": 72,
}
"""Both directions lose the same to titles and labels, so that a square figure has a square frame."""


def holoviews() -> Any:
    """Import HoloViews with its Bokeh side, which is slow, when the first figure is drawn.

    Figures of thousands of points need no WebGL, which HoloViews uses by default: each would take seconds where
    the browser has to emulate it.
    """
    import holoviews as hv
    import holoviews.plotting.bokeh

    hv.Store.renderers["bokeh"].webgl = False
    return hv


def hover(*columns: tuple[str, str]) -> Any:
    """Return a hover box with a line for each (name, column).

    Bokeh inserts the names as HTML but the columns' values as text: text from users, units too, has to
    come from a column.
    """
    from bokeh.models import HoverTool

    return HoverTool(tooltips=[(name, f"@{column}") for name, column in columns])


def literal_title(text: str, most: int = 70) -> str:
    """Return a title as HoloViews wants it: braces doubled, for it fills in names between them."""
    return shorten(text, most).replace("{", "{{").replace("}", "}}")


def one_two_five(low: float, high: float) -> list[tuple[float, str]]:
    """Return the ticks of a logarithmic axis: 1, 2 and 5 times the powers of ten; Bokeh labels few by itself."""
    start, end = math.log10(low), math.log10(high)
    steps = (1, 2, 5) if end - start < 3 else (1,)
    powers = range(math.floor(start) - 1, math.ceil(end) + 2)
    return [(step * 10.0**power, number(step * 10.0**power, 1)) for power in powers for step in steps]


def round_up(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten, so that a growing axis changes seldom."""
    if not (value > 0 and math.isfinite(value)):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15) if step * power >= value)


def two_lines(label: str, note: str) -> str:
    """Put a note under an axis label; an empty second line keeps panels side by side in step."""
    return f"{label}\n{note or ' '}"


def in_our_font(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
    """Set labels in the font of the figures; a HoloViews hook."""
    from bokeh.core.properties import value

    plot.handles["glyph"].update(text_font=value(FONT))


def beside(pixels: int) -> Callable[[Any, Any], None]:
    """Return a HoloViews hook that moves labels to the right of their points (to the left if negative)."""

    def hook(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
        plot.handles["glyph"].update(x_offset=pixels)

    return hook


def color_bar(title: str, ticks: Mapping[float, str], mode: Mode) -> dict[str, Any]:
    """Return the options of a colour bar above a map: it keeps its size however small or wide the map is.

    Args:
        title: what the shades stand for, with unit.
        ticks: labels by value.
        mode: light or dark.
    """
    from bokeh.models import FixedTicker

    colors = COLORS[mode]
    return {
        "colorbar": True,
        "colorbar_position": "top",
        "clabel": title,
        "colorbar_opts": {
            "ticker": FixedTicker(ticks=list(ticks)),
            "major_label_overrides": dict(ticks),
            "width": 260,
            "height": 10,
            "location": (0, 0),
            "padding": 12,
            "title_standoff": 6,
            "label_standoff": 4,
            "bar_line_color": None,
            "major_tick_line_color": colors.axis,
            "major_tick_in": 0,
            "major_tick_out": 4,
            "background_fill_color": None,
            "title_text_color": colors.muted,
            "title_text_font": FONT,
            "title_text_font_size": TICK_SIZE,
            "title_text_font_style": "normal",
            "major_label_text_color": colors.ink,
            "major_label_text_font": FONT,
            "major_label_text_font_size": TICK_SIZE,
        },
    }
