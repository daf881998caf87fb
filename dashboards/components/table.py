"""Tables: sorted, paged, selectable; all text is shown literally."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.session import Session

PAGE_SIZE = 15


class Table(Viewer):
    """Rows of plain values under named columns.

    Args:
        session: of the page.
        columns: names of the columns, in order; units belong in them.
        digits: significant digits of columns with numbers, by name; others are shown as they are.
        on_click: is called with the number of the row that was clicked.
        selectable: rows can be ticked; see :attr:`selected`.
        page_size: rows on one page.
        links: columns whose values are addresses of our own pages, shown as "open".
    """

    def __init__(
        self,
        session: Session,
        columns: Sequence[str],
        *,
        digits: Mapping[str, int] | None = None,
        on_click: Callable[[int], None] | None = None,
        selectable: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> None:
        super().__init__()
        import pandas as pd

        self._columns = list(columns)
        self._digits = dict(digits or {})
        self.widget = pn.widgets.Tabulator(
            pd.DataFrame({name: [] for name in self._columns}),
            disabled=True,
            show_index=False,
            pagination="local",
            page_size=page_size,
            selectable="checkbox" if selectable else 1 if on_click else False,
            layout="fit_data_stretch",
            sizing_mode="stretch_width",
            theme="simple",
            formatters={name: {"type": "plaintext"} for name in self._columns},
            margin=(4, 10),
            stylesheets=[_STYLE],
        )
        if on_click is not None:
            self.widget.on_click(session.guard(lambda event: on_click(int(event.row))))

    def show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show rows: values by column; one that is missing stays empty."""
        import pandas as pd

        table = {
            name: [_shown(row.get(name), self._digits.get(name)) for row in rows] for name in self._columns
        }
        self.widget.value = pd.DataFrame(table, columns=self._columns)

    @property
    def selected(self) -> list[int]:
        """Numbers of the rows that are ticked."""
        return list(self.widget.selection)

    def __panel__(self) -> Viewable:
        return self.widget


def _shown(value: Any, digits: int | None) -> Any:
    if value is None:
        return "–" if digits is None else float("nan")
    if isinstance(value, float) and digits is not None:
        return float(f"{value:.{digits}g}")
    return value if isinstance(value, int | float) else str(value)


_STYLE = """
.tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px 8px; }
.tabulator .tabulator-header .tabulator-col-title { font-size: 12.5px; }
.tabulator .tabulator-footer { padding: 2px; font-size: 12px; }
.tabulator { font-size: 13px; background: transparent; color: inherit; border: none; }
.tabulator .tabulator-header { background: transparent; color: inherit; border-bottom: 1px solid var(--mui-palette-divider, #ccc); }
.tabulator .tabulator-header .tabulator-col { background: transparent; color: inherit; border: none; }
.tabulator .tabulator-tableholder .tabulator-table { background: transparent; color: inherit; }
.tabulator-row, .tabulator-row.tabulator-row-even { background: transparent; color: inherit; border-bottom: 1px solid var(--mui-palette-divider, #e5e5e5); }
.tabulator-row.tabulator-selectable:hover { background: rgba(127,127,127,0.14); cursor: pointer; }
.tabulator-row.tabulator-selected { background: rgba(0,114,178,0.18); }
.tabulator-row .tabulator-cell { border: none; }
.tabulator .tabulator-footer { background: transparent; color: inherit; border-top: none; }
.tabulator .tabulator-footer .tabulator-page { background: transparent; color: inherit; }
"""
