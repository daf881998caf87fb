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
        page_size: rows on one page; ``None`` shows all that are given.
        sortable: a click on a column's name sorts by it.
        links: columns whose values lead to a page, by name: that page's address without the value.
    """

    def __init__(
        self,
        session: Session,
        columns: Sequence[str],
        *,
        digits: Mapping[str, int] | None = None,
        on_click: Callable[[int], None] | None = None,
        selectable: bool = False,
        page_size: int | None = PAGE_SIZE,
        sortable: bool = True,
        links: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        import pandas as pd

        self._columns = list(columns)
        self._digits = dict(digits or {})
        self._page_size = page_size
        self.widget = pn.widgets.Tabulator(
            pd.DataFrame({name: [] for name in self._columns}),
            disabled=True,
            show_index=False,
            pagination=None if page_size is None else "local",
            page_size=page_size,
            sortable=sortable,
            selectable="checkbox" if selectable else 1 if on_click else False,
            layout="fit_data_stretch",
            sizing_mode="stretch_width",
            theme="simple",
            formatters={
                **{name: {"type": "plaintext"} for name in self._columns},
                **{name: {"type": "link", "urlPrefix": address} for name, address in (links or {}).items()},
            },
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
        # As objects: a column of numbers would show a missing one as NaN.
        one_page = self._page_size is not None and len(rows) <= self._page_size
        self.widget.css_classes = ["one-page"] if one_page else []
        self.widget.value = pd.DataFrame(table, columns=self._columns, dtype=object)

    @property
    def selected(self) -> list[int]:
        """Numbers of the rows that are ticked."""
        return list(self.widget.selection)

    def __panel__(self) -> Viewable:
        return self.widget


def _shown(value: Any, digits: int | None) -> Any:
    if value is None:
        return None
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
.tabulator-row.tabulator-selected { background: rgba(0,114,178,0.12) !important; color: inherit !important; }
.tabulator-row { font-size: 13px; min-height: 30px; }
.tabulator-row .tabulator-cell { border: none; padding: 5px 8px; height: auto !important; }
.tabulator-row .tabulator-cell a { color: var(--mui-palette-primary-main, #0072b2); }
.tabulator .tabulator-footer { background: transparent; color: inherit; border-top: none; }
:host(.one-page) .tabulator-footer { display: none; }
.tabulator .tabulator-footer .tabulator-page { background: transparent; color: inherit; }
"""
