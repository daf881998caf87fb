"""The one look of all figures: colours, fonts and sizes, light and dark.

Figures apply it themselves (:func:`styled`), so that they look the same wherever they are drawn;
pages take their colours from the same place (:func:`css_variables`). The series colours are those
of Okabe and Ito (2008), which people with any colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bokeh.themes import Theme

Mode = Literal["light", "dark"]
MODES: tuple[Mode, ...] = ("light", "dark")

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
TITLE_SIZE, LABEL_SIZE, TICK_SIZE = "14px", "13px", "12px"
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star")
"""Shapes of the series, so that a print without colours can be read."""


@dataclass(frozen=True)
class Colors:
    """Colours of one mode.

    Attributes:
        surface: behind a figure.
        raised: behind a table's head and a fold.
        ink, muted: text, and text of less weight.
        grid, axis: lines.
        series: of data, in the order of use.
        heat: from nothing to most, for shares.
        shades: from least to most, for maps in which every shade stands out from the surface; the
            lightness falls steadily (it rises on a dark surface), so that no colour vision is needed.
    """

    surface: str
    raised: str
    ink: str
    muted: str
    grid: str
    axis: str
    series: tuple[str, ...]
    heat: tuple[str, str]
    shades: tuple[str, ...]


COLORS: dict[Mode, Colors] = {
    "light": Colors(
        surface="#ffffff",
        raised="#f4f6f8",
        ink="#1f2328",
        muted="#59636e",
        grid="#e7eaee",
        axis="#8b949e",
        series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7280"),
        heat=("#f4f6f8", "#0072b2"),
        shades=("#d3e4f3", "#9fc8e2", "#5da3cf", "#2272b5", "#08306b"),
    ),
    "dark": Colors(
        surface="#16181d",
        raised="#20242b",
        ink="#e8eaed",
        muted="#a0a9b4",
        grid="#2c3138",
        axis="#6b7480",
        series=("#56b4e9", "#e69f00", "#1fb98d", "#cc79a7", "#f0e442", "#d55e00", "#a0a9b4"),
        heat=("#20242b", "#56b4e9"),
        shades=("#17406e", "#20699f", "#3f95cf", "#86c3ea", "#e6f4fd"),
    ),
}


def series_color(index: int, mode: Mode) -> str:
    """Return the colour of the series number ``index``; they repeat after seven."""
    series = COLORS[mode].series
    return series[index % len(series)]


def marker(index: int) -> str:
    """Return the shape of the series number ``index``."""
    return MARKERS[index % len(MARKERS)]


def attributes(mode: Mode) -> dict[str, dict[str, Any]]:
    """Return the look as Bokeh attributes by class name."""
    colors = COLORS[mode]
    return {
        "Plot": {
            "background_fill_color": colors.surface,
            "border_fill_color": colors.surface,
            "outline_line_color": None,
            "min_border_right": 16,
            # Figures below one another keep their own left edge; else a square one would be squeezed.
            "frame_align": {"left": False, "right": False, "top": True, "bottom": True},
        },
        "Title": {
            "text_color": colors.ink,
            "text_font": FONT,
            "text_font_size": TITLE_SIZE,
            "text_font_style": "bold",
            "offset": 0,
        },
        "Axis": {
            "axis_label_text_color": colors.muted,
            "axis_label_text_font": FONT,
            "axis_label_text_font_size": LABEL_SIZE,
            "axis_label_text_font_style": "normal",
            "axis_label_standoff": 8,
            "major_label_text_color": colors.ink,
            "major_label_text_font": FONT,
            "major_label_text_font_size": TICK_SIZE,
            "axis_line_color": colors.axis,
            "major_tick_line_color": colors.axis,
            "minor_tick_line_color": None,
            "major_tick_in": 0,
            "major_tick_out": 4,
        },
        "Grid": {"grid_line_color": colors.grid, "minor_grid_line_color": None},
        "Legend": {
            "background_fill_color": colors.surface,
            "background_fill_alpha": 0.85,
            "border_line_color": None,
            "label_text_color": colors.ink,
            "label_text_font": FONT,
            "label_text_font_size": TICK_SIZE,
            "padding": 6,
            "spacing": 2,
        },
    }


def bokeh_theme(mode: Mode = "light") -> Theme:
    """Return the look as a Bokeh theme, for figures that are not made here."""
    from bokeh.themes import Theme

    return Theme(json={"attrs": attributes(mode)})


def styled(mode: Mode, **extra: dict[str, Any]) -> Callable[[Any, Any], None]:
    """Return a HoloViews hook that gives a figure its look.

    Args:
        mode: light or dark.
        extra: more Bokeh attributes by class name, for this figure only.
    """
    looks = attributes(mode)
    for name, values in extra.items():
        looks[name] = {**looks.get(name, {}), **values}

    def hook(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
        figure = plot.state
        figure.update(**looks["Plot"])
        if figure.title is not None:
            figure.title.update(**looks["Title"])
        for axis in figure.axis:
            axis.update(**looks["Axis"])
        for name, axes in (("XAxis", figure.xaxis), ("YAxis", figure.yaxis)):
            for axis in axes:
                axis.update(**looks.get(name, {}))
        for grids, name in ((figure.xgrid, "XGrid"), (figure.ygrid, "YGrid")):
            for grid in grids:
                grid.update(**{**looks["Grid"], **looks.get(name, {})})
        for legend in figure.legend:
            legend.update(**looks["Legend"])
        figure.toolbar.update(autohide=True, logo=None)

    return hook


def css_variables(mode: Mode) -> str:
    """Return the colours as CSS custom properties."""
    colors = COLORS[mode]
    values = {
        "surface": colors.surface,
        "raised": colors.raised,
        "ink": colors.ink,
        "muted": colors.muted,
        "grid": colors.grid,
        "accent": colors.series[0],
    }
    return " ".join(f"--{name}: {value};" for name, value in values.items()) + f" color-scheme: {mode};"
