"""Numbers with their names, side by side; they keep their places while they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import panel as pn

from dashboards.components.layout import literal


class Facts(pn.pane.HTML):
    """Named values side by side, below each other where the page is narrow. All text is literal.

    Args:
        names: of the values, in order; more can come later.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        super().__init__("", stylesheets=[_STYLE], sizing_mode="stretch_width", margin=(2, 10), min_height=56)
        self._values: dict[str, str] = {}
        self.reset(names)

    def reset(self, names: Sequence[str]) -> None:
        """Show other names, without values."""
        self._values = dict.fromkeys(names, "–")
        self.show({})

    def show(self, values: Mapping[str, str]) -> None:
        """Show values by name; others stay as they are."""
        self._values.update(values)
        rows = (
            f"<div><dt>{literal(name)}</dt><dd>{literal(value)}</dd></div>"
            for name, value in self._values.items()
        )
        self.object = f"<dl>{''.join(rows)}</dl>"

    def clear(self) -> None:
        """Show that nothing is known."""
        self.reset(list(self._values))


_STYLE = """
:host { color: inherit; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(104px, 1fr)); gap: 4px 12px; margin: 0; }
dt { font-size: 11.5px; color: var(--mui-palette-text-secondary, inherit); }
dd { margin: 0; font-size: 13.5px; font-weight: 600; min-height: 38px; line-height: 1.4; overflow-wrap: anywhere; }
"""
