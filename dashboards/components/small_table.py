"""A few rows and columns that need no sorting: headings wrap, so that it fits beside something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import panel as pn

from dashboards.components.layout import literal


@dataclass(frozen=True)
class Link:
    """A value that leads to a page.

    Attributes:
        text: what is shown.
        address: of the page.
    """

    text: str
    address: str


Value = str | Link


class SmallTable(pn.pane.HTML):
    """Values under named columns. All text is literal.

    Args:
        columns: their headings; units belong in them.
        rows: values in the columns' order; numbers already written out.
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        head = "".join(f'<th scope="col">{literal(name)}</th>' for name in columns)
        body = "".join(f"<tr>{''.join(f'<td>{_shown(value)}</td>' for value in row)}</tr>" for row in rows)
        super().__init__(
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
            stylesheets=[_STYLE],
            sizing_mode="stretch_width",
            margin=(4, 10),
        )


def _shown(value: Value) -> str:
    if isinstance(value, Link):
        return f'<a href="{escape(value.address)}">{literal(value.text)}</a>'
    return literal(value)


_STYLE = """
:host { color: inherit; font-size: 13px; font-variant-numeric: tabular-nums; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 5px 8px; text-align: left; vertical-align: bottom; }
th { font-size: 12px; font-weight: 600; border-bottom: 1px solid var(--mui-palette-text-secondary, #888); }
td { border-bottom: 1px solid var(--mui-palette-divider, #e5e5e5); }
a { color: var(--mui-palette-primary-main, #0072b2); }
"""
