"""One run: how it stands, live; what it was asked for, what it found, what it left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.buttons import action_button, back_button
from dashboards.components.confirm import Confirm
from dashboards.components.details import Details
from dashboards.components.layout import below, columns, empty, literal, row, section
from dashboards.components.run_log import LogFold
from dashboards.components.run_panel import RunPanel
from dashboards.parts import run_words
from dashboards.parts.run_actions import delete_all, rerun
from dashboards.parts.run_artefacts import RunArtefacts
from dashboards.parts.run_curves import RunCurve, curve_of_result
from dashboards.parts.run_live import RunCurveFigure
from dashboards.parts.run_state import RunsState
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.errors import DataNotFoundError
from moma_app.jobs.record import Record
from moma_app.jobs.states import SHORT
from moma_app.progress import Event

EVERY = 3000
"""Milliseconds between two looks at a run that works."""


@dataclass(frozen=True)
class _Known:
    """What the store says of a run."""

    record: Record
    artefacts: list[str]
    curve: RunCurve | None


class RunDetail(Viewer):
    """One run by the first digits of its id.

    Args:
        session: of the page.
        state: of the page.
    """

    def __init__(self, session: Session, state: RunsState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._record: Record | None = None
        self._confirm = Confirm(session)
        self._title = pmui.Typography("", variant="h6", margin=(4, 10), sx={"overflowWrap": "anywhere"})
        self._open = pmui.Button(
            label="Open", icon="open_in_new", size="small", variant="contained", visible=False
        )
        self._again = action_button(session, "Run again", "replay", self._repeat)
        self._delete = action_button(session, "Delete", "delete", self._ask_delete, color="error")
        self._panel = RunPanel(session, on_events=self._take, link=False)
        self._panel.param.watch(session.guard(lambda event: self.refresh() if event.new else None), "state")
        self._curve = RunCurveFigure(session)
        self._metrics = Details(nothing="No number is known yet.")
        self._facts = Details()
        self._arguments = Details(nothing="It has no arguments.")
        self._artefacts = RunArtefacts(session)
        self._log = LogFold(session)
        self._place = pn.Column(
            empty("Looking for the run …"), sizing_mode="stretch_width", min_height=400, margin=0
        )
        self._view = pn.Column(self._place, self._confirm, sizing_mode="stretch_width", margin=0)
        session.background(lambda: _read(state.run), self._begin, failed=self._missing)
        self._stop_looking = session.every(EVERY, self._look_again)

    # -- what is shown ---------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the run's record again."""
        if self._record is not None:
            run_id = self._record.id
            self._session.background(lambda: _read(run_id), self._show, failed=self._missing)

    def close(self) -> None:
        """Look no longer: the page shows something else."""
        self._stop_looking()
        self._panel.clear()

    def _look_again(self) -> None:
        if self._record is not None and self._record.open:
            self.refresh()
            self._log.refresh()

    def _begin(self, known: _Known) -> None:
        self._show(known)
        self._log.run_id = known.record.id
        self._place.objects = self._layout()
        if known.record.state != "finished":
            self._panel.show(known.record.id)

    def _missing(self, text: str) -> None:
        self._record = None
        self._place.objects = [empty(text, self._back())]

    def _layout(self) -> list[Viewable]:
        return [
            section(
                "",
                row(self._back(), self._title),
                row(self._open, self._again, self._delete),
                self._panel,
                self._curve,
            ),
            columns(
                below(section("Metrics", self._metrics), section("Arguments", self._arguments)),
                below(section("Facts", self._facts), section("Artefacts", self._artefacts)),
                widths=[5, 7],
            ),
            self._log,
        ]

    def _back(self) -> Viewable:
        return back_button(self._session, "All runs", lambda: self._state.param.update(run=""))

    def _show(self, known: _Known) -> None:
        record = known.record
        self._record = record
        self._title.object = (
            f"{literal(record.name)} <small>({literal(run_words.state_text(record))})</small>"
        )
        self._delete.disabled = record.open
        page = run_words.PAGE_OF_UNIT.get(record.unit)
        self._open.visible = page is not None
        if page is not None:
            self._open.label = f"Open in {page.capitalize().replace('Finetune', 'Fine-tune')}"
            self._open.href = self._session.link(page, f"?run={record.id}")
        self._metrics.show(
            {
                run_words.metric_label(name, record.task): run_words.value_text(value)
                for name, value in sorted(record.metrics.items())
            }
        )
        self._facts.show(facts_of(record))
        self._arguments.show(dict(sorted(record.parameters.items())))
        self._artefacts.show(record.id, known.artefacts)
        self._curve.finish(known.curve)

    def _take(self, events: list[Event]) -> None:
        if self._record is not None:
            self._curve.take(events, self._record.task)

    # -- what is done ----------------------------------------------------------------------------

    def _repeat(self) -> None:
        if self._record is None:
            return
        run_id = self._record.id
        self._again.disabled = True

        def show(new: str) -> None:
            self._session.say("The same work runs again, as a new run; nothing is published.")
            self._state.run = new

        def fail(text: str) -> None:
            self._again.disabled = False
            self._session.fail(text)

        self._session.background(lambda: rerun(run_id), show, fail)

    def _ask_delete(self) -> None:
        if self._record is None:
            return
        record = self._record

        def done(_: Any) -> None:
            self._session.say(f"Run {record.id[:SHORT]} is deleted.")
            self._state.run = ""

        self._confirm.ask(
            "Delete this run?",
            "Its results, predictor, log and checkpoints are gone then. This cannot be undone.",
            "Delete it",
            lambda: self._session.background(lambda: delete_all([record]), done),
        )

    def __panel__(self) -> Viewable:
        return self._view


def facts_of(record: Record) -> dict[str, str]:
    """Return what is known of a run besides its arguments, in words."""
    process = f", process {record.process.pid}" if record.process and record.state != "queued" else ""
    return {
        "Run": record.id,
        "State": record.state + (f": {record.message}" if record.message else ""),
        "Kind": run_words.kind_of(record.unit),
        "Task": record.task,
        "Created": run_words.when(record.created),
        "Started": run_words.when(record.started),
        "Ended": run_words.when(record.ended),
        "Duration": run_words.duration(record),
        "Host": record.host.partition("/")[0] + process if record.host else "",
        "Attempts": str(record.attempts) if record.attempts > 1 else "",
        "Code": f"moma-app {record.version}" + (f", commit {record.commit[:12]}" if record.commit else ""),
        **{name.replace("_", " ").capitalize(): value for name, value in sorted(record.facts.items())},
    }


def _read(start: str) -> _Known:
    jobs = get_jobs()
    record = jobs.record(start)
    if not record.parameters:
        record = jobs.store.get(record.id)
    curve = None
    if record.state == "finished":
        try:
            curve = curve_of_result(jobs.result(record.id), record.name)
        except DataNotFoundError:
            curve = None  # its result is on another machine
    return _Known(record, jobs.store.artefacts(record.id), curve)
