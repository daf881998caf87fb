"""The one look of all pages, from the same colours as the figures."""

from __future__ import annotations

from typing import Any

from moma_app.plots.theme import COLORS, FONT, Mode


def _palette(mode: Mode) -> dict[str, Any]:
    colors = COLORS[mode]
    return {
        "mode": mode,
        "primary": {"main": colors.series[0]},
        "background": {"default": colors.surface, "paper": colors.surface},
        "text": {"primary": colors.ink, "secondary": colors.muted},
        "divider": colors.grid,
    }


def _theme(mode: Mode) -> dict[str, Any]:
    colors = COLORS[mode]
    return {
        "palette": _palette(mode),
        "typography": {"fontFamily": FONT, "fontSize": 13, "button": {"textTransform": "none"}},
        "shape": {"borderRadius": 6},
        "components": {
            "MuiAppBar": {
                "styleOverrides": {
                    "root": {
                        "backgroundColor": colors.raised,
                        "backgroundImage": "none",
                        "color": colors.ink,
                        "boxShadow": "none",
                        "borderBottom": f"1px solid {colors.grid}",
                    }
                }
            },
            "MuiToolbar": {"styleOverrides": {"root": {"minHeight": "52px !important"}}},
        },
    }


THEME = {"light": _theme("light"), "dark": _theme("dark")}
"""Theme of panel-material-ui, light and dark."""

PAGE_CSS = """
#loader:not(.error) { display: none !important; }
:root { font-variant-numeric: tabular-nums; }
:focus-visible { outline: 2px solid var(--mui-palette-primary-main, #0072b2); outline-offset: 2px; }
"""
