"""The list of runs: filtered, paged, live; ticked runs are compared, cancelled or deleted together."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.buttons import action_button
from dashboards.components.confirm import Confirm
from dashboards.components.layout import empty, row, section
from dashboards.components.table import Table
from dashboards.parts import run_words
from dashboards.parts.run_actions import cancel_all, delete_all
from dashboards.parts.run_filters import RunFilters
from dashboards.parts.run_pages import ROWS, Wanted, look
from dashboards.parts.run_state import RunsState
from dashboards.session import Session
from moma_app.jobs.listing import Page
from moma_app.jobs.record import Record
from moma_app.jobs.states import SHORT
from moma_app.plots.text import count

EVERY = 3000
"""Milliseconds between two looks; all sessions share what is read."""
MOST_COMPARED = 12
COLUMNS = ("Run", "State", "Name", "Result", "Duration", "Created", "Task", "Kind", "Host")
_HEIGHT = 300


class RunList(Viewer):
    """Filters, table, pages and what can be done with the runs that are ticked.

    Args:
        session: of the page.
        state: of the page.
    """

    def __init__(self, session: Session, state: RunsState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._records: list[Record] = []
        self._ticked: dict[str, Record] = {}
        self._drawn: tuple[Wanted, list[dict[str, str]]] | None = None
        self._shown = ""
        self._filling = False
        self._confirm = Confirm(session)
        self._table = Table(
            session,
            COLUMNS,
            on_click=self._open,
            selectable=True,
            page_size=None,
            sortable=False,
            links={"Run": session.link("runs", "?run=")},
        )
        self._table.widget.param.watch(session.guard(lambda event: self._tick(event.new)), "selection")
        self._count = pmui.Typography("", variant="body2", margin=(10, 10), sx={"color": "text.secondary"})
        self._pages = pmui.Pagination(
            count=1, value=0, size="small", show_first_button=True, show_last_button=True, margin=(6, 10)
        )
        self._pages.param.watch(session.guard(lambda event: state.param.update(sheet=event.new + 1)), "value")
        self._compare = action_button(session, "Compare", "compare_arrows", self._show_comparison)
        self._cancel = action_button(session, "Cancel", "stop", self._ask_cancel)
        self._delete = action_button(session, "Delete", "delete", self._ask_delete, color="error")
        self._none = action_button(session, "Untick all", "close", self._untick, variant="text")
        self._place = pn.Column(
            empty("Looking for runs …"), sizing_mode="stretch_width", min_height=_HEIGHT, margin=0
        )
        self._view = section(
            "",
            RunFilters(session, state),
            self._place,
            row(self._count, self._pages, justify_content="space-between"),
            row(self._compare, self._cancel, self._delete, self._none),
            self._confirm,
        )
        state.param.watch(
            session.guard(lambda *_: self.refresh()), ["state", "unit", "task", "text", "sheet"]
        )
        session.every(EVERY, self._look_again)
        self._label()
        self.refresh()

    def refresh(self) -> None:
        """Look for the runs that the address wants."""
        wanted = self._state.wanted()

        def show(page: Page) -> None:
            if wanted == self._state.wanted():  # else the next answer is on its way
                self._show(page)

        self._session.background(lambda: look(wanted), show, failed=self._fail)

    def _look_again(self) -> None:
        if not (self._state.run or self._state.compare):
            self.refresh()

    # -- what is shown ---------------------------------------------------------------------------

    def _show(self, page: Page) -> None:
        if not page.records and page.offset:
            self._state.sheet = 1  # others deleted what this page showed
            return
        self._records = page.records
        for record in page.records:
            if record.id in self._ticked:
                self._ticked[record.id] = record
        self._number(page)
        rows = [_row(record) for record in page.records]
        if (drawn := (self._state.wanted(), rows)) != self._drawn:
            self._drawn = drawn
            self._draw(rows)
        self._label()

    def _draw(self, rows: list[dict[str, str]]) -> None:
        self._filling = True
        self._table.show(rows)
        self._table.widget.selection = [
            number for number, record in enumerate(self._records) if record.id in self._ticked
        ]
        self._filling = False
        if not rows:
            self._place.objects = [self._nothing()]
        elif self._shown != "table":
            self._place.objects = [self._table]
        self._shown = "table" if rows else "nothing"

    def _fail(self, text: str) -> None:
        """Say why there is no list, once: it is looked for again every few seconds."""
        if self._shown != text:
            self._place.objects = [empty(text)]
        self._shown, self._drawn = text, None

    def _nothing(self) -> Viewable:
        if self._state.wanted() != RunsState().wanted():
            return empty("No run fits: change the search above.")
        return empty(
            "Nothing has run yet. Compose a module for a dataset, or start a run with the moma command; it appears here.",
            pmui.Button(
                label="Compose", href=self._session.link("compose"), variant="outlined", align="center"
            ),
        )

    def _number(self, page: Page) -> None:
        first, last = page.offset + 1, page.offset + len(page.records)
        total = "" if page.total is None else f" of {page.total:,}"
        self._count.object = f"{first:,}–{last:,}{total}" if page.records else ""
        sheets = self._state.sheet + page.more if page.total is None else -(-page.total // ROWS)
        self._pages.count = max(1, sheets, self._state.sheet)  # bounds the value
        self._pages.param.update(value=self._state.sheet - 1, visible=sheets > 1)

    # -- what is ticked --------------------------------------------------------------------------

    def _tick(self, numbers: list[int]) -> None:
        if self._filling:
            return
        for number, record in enumerate(self._records):
            if number in numbers:
                self._ticked[record.id] = record
            else:
                self._ticked.pop(record.id, None)
        self._label()

    def _untick(self) -> None:
        self._ticked.clear()
        self._filling = True
        self._table.widget.selection = []
        self._filling = False
        self._label()

    def _label(self) -> None:
        """Say on the buttons how many runs they are about."""
        ticked = list(self._ticked.values())
        n_open = sum(record.open for record in ticked)
        for button, name, n, least in (
            (self._compare, "Compare", len(ticked), 2),
            (self._cancel, "Cancel", n_open, 1),
            (self._delete, "Delete", len(ticked) - n_open, 1),
        ):
            button.label = f"{name} {n}" if n else name
            button.disabled = n < least
        self._none.visible = bool(ticked)

    # -- what is done ----------------------------------------------------------------------------

    def _open(self, number: int) -> None:
        self._state.run = self._records[number].id[:SHORT]

    def _show_comparison(self) -> None:
        if len(self._ticked) > MOST_COMPARED:
            self._session.fail(f"At most {MOST_COMPARED} runs fit beside each other: untick some.")
            return
        self._state.compare = [run_id[:SHORT] for run_id in self._ticked]

    def _ask_cancel(self) -> None:
        chosen = [record for record in self._ticked.values() if record.open]
        self._confirm.ask(
            f"Cancel {count(len(chosen), 'run')}?",
            "What they have saved stays, and they can be resumed.",
            "Cancel them" if len(chosen) > 1 else "Cancel it",
            lambda: self._do(lambda: cancel_all(chosen), "cancelled"),
        )

    def _ask_delete(self) -> None:
        chosen = [record for record in self._ticked.values() if not record.open]
        self._confirm.ask(
            f"Delete {count(len(chosen), 'run')}?",
            "Their results, predictors, logs and checkpoints are gone then. This cannot be undone.",
            "Delete them" if len(chosen) > 1 else "Delete it",
            lambda: self._do(lambda: delete_all(chosen), "deleted"),
        )

    def _do(self, work: Callable[[], int], done: str) -> None:
        self._place.loading = True

        def finish(number: int) -> None:
            self._place.loading = False
            self._untick()
            self._session.say(f"{count(number, 'run')} {done}.")
            self.refresh()

        def fail(text: str) -> None:
            self._place.loading = False
            self._session.fail(text)
            self.refresh()

        self._session.background(work, finish, fail)

    def __panel__(self) -> Viewable:
        return self._view


def _row(record: Record) -> dict[str, str]:
    return {
        "Run": record.id[:SHORT],
        "State": run_words.state_text(record),
        "Name": record.name,
        "Task": record.task,
        "Kind": run_words.kind_of(record.unit),
        "Created": run_words.when(record.created)[:-3],  # to the minute
        "Duration": run_words.duration(record),
        "Result": run_words.metric_text(record),
        "Host": record.host.partition("/")[0],
    }
