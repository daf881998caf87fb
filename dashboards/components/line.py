"""A line of text that changes."""

from __future__ import annotations

from typing import Any

import panel as pn

from dashboards.components.layout import literal


class Line(pn.pane.HTML):
    """Text that is shown literally and may change at any time.

    Other than a ``Typography``: that sends its content as a property which the browser may change, so Panel now and
    then takes an update of the server for one of the browser, and shows tags.
    """

    def __init__(self, text: str = "", *, quiet: bool = False, **options: Any) -> None:
        look = {"sizing_mode": "stretch_width", "margin": (4, 10), **options}
        super().__init__(literal(text), stylesheets=[_STYLE, _QUIET] if quiet else [_STYLE], **look)

    def say(self, text: str) -> None:
        """Show another text."""
        self.object = literal(text)


_STYLE = ":host { color: inherit; font-size: 13px; line-height: 1.45; overflow-wrap: anywhere; }"
_QUIET = ":host { color: var(--mui-palette-text-secondary, inherit); }"
