"""Names and values below each other: arguments, facts, provenance. Long values wrap; all text is literal."""

from __future__ import annotations

from collections.abc import Mapping

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import empty, literal


class Details(Viewer):
    """A list of named values.

    Args:
        values: by name; empty ones are left out.
        nothing: shown where there is no value.
    """

    def __init__(self, values: Mapping[str, str] | None = None, *, nothing: str = "") -> None:
        super().__init__()
        self._nothing = nothing
        self._list = pn.pane.HTML("", sizing_mode="stretch_width", margin=(2, 10), stylesheets=[_STYLE])
        self._view = pn.Column(self._list, sizing_mode="stretch_width", margin=0)
        self.show(values or {})

    def show(self, values: Mapping[str, str]) -> None:
        """Show other values."""
        given = {name: value for name, value in values.items() if value != ""}
        rows = (f"<dt>{literal(name)}</dt><dd>{literal(value)}</dd>" for name, value in given.items())
        self._list.object = f"<dl>{''.join(rows)}</dl>"
        self._view.objects = [self._list] if given or not self._nothing else [empty(self._nothing)]

    def __panel__(self) -> Viewable:
        return self._view


_STYLE = """
:host { color: inherit; font-size: 13px; }
dl { display: grid; grid-template-columns: minmax(96px, max-content) minmax(0, 1fr); gap: 3px 16px; margin: 4px 0; }
dt { color: var(--mui-palette-text-secondary, inherit); max-width: 32ch; overflow-wrap: anywhere; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
"""
