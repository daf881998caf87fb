"""What the figures share: HoloViews itself, hover boxes, and the frame of a square figure."""

from __future__ import annotations

from typing import Any

from moma_app.plots.text import shorten

PLAIN_TOOLS: dict[str, Any] = {"default_tools": [], "backend": "bokeh"}
"""Options of every element: only the tools that a figure names."""
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
    """Import HoloViews with its Bokeh side, which is slow, when the first figure is drawn."""
    import holoviews as hv
    import holoviews.plotting.bokeh

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


def two_lines(label: str, note: str) -> str:
    """Put a note under an axis label; an empty second line keeps panels side by side in step."""
    return f"{label}\n{note or ' '}"
