"""One run on a page: start, progress, stop, resume, what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import alert, fold
from dashboards.components.line import Line
from dashboards.components.run_log import log_pane, log_text
from dashboards.feeds import RunWatch
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.states import RESUMABLE, SHORT
from moma_app.progress import Event, RunChanged, Step, Warned


class RunPanel(Viewer):
    """Starts a run or shows one that exists, with what it is at, and buttons to stop and resume it.

    The page that owns it keeps ``run_id`` in its address, so that a tab that is opened later shows the
    same run. Closing the page leaves the run alone.

    Args:
        session: of the page.
        on_events: is called with new events of the run, in order, from the first one on.
        on_finished: is called with what the run's unit returned.
        what: the work in a few words, such as "Composition".
        link: show a link to the run's own page.
    """

    run_id = param.String(doc="Run that is shown; empty if none.")
    state = param.String(doc="Its state; empty if none is shown, 'starting' until it is recorded.")

    def __init__(
        self,
        session: Session,
        *,
        on_events: Callable[[list[Event]], None] | None = None,
        on_finished: Callable[[dict[str, Any]], None] | None = None,
        what: str = "Run",
        link: bool = True,
    ) -> None:
        super().__init__()
        self._session = session
        self._on_events = on_events
        self._on_finished = on_finished
        self._what = what
        self._link = link
        self._watch: RunWatch | None = None
        self._begun = 0.0
        self._bar = pmui.LinearProgress(
            value=0,
            max=100,
            variant="determinate",
            sizing_mode="stretch_width",
            margin=(6, 10),
            visible=False,
        )
        self._text = Line()
        self._stop = pmui.Button(label="Stop", icon="stop", variant="outlined", size="small", visible=False)
        self._resume = pmui.Button(
            label="Resume", icon="play_arrow", variant="outlined", size="small", visible=False
        )
        self._open = pmui.Button(label="Run", icon="open_in_new", variant="text", size="small", visible=False)
        self._problem = pn.Column(sizing_mode="stretch_width", margin=0)
        self._stop.on_click(session.guard(lambda _: self.stop()))
        self._resume.on_click(session.guard(lambda _: self.resume()))
        self._view = pn.Column(
            self._text,
            self._bar,
            pmui.FlexBox(
                self._stop, self._resume, self._open, align_items="center", sizing_mode="stretch_width"
            ),
            self._problem,
            sizing_mode="stretch_width",
            margin=0,
        )

    # -- what a page calls -----------------------------------------------------------------------

    def start(self, make: Callable[[], RunSpec]) -> None:
        """Define a run and start it, beside the page: both may take a moment."""
        self.clear()
        self.state = "starting"
        self._tell(f"{self._what} is being started", fraction=None)

        def submit() -> str:
            return get_jobs().submit(make())

        self._session.background(submit, self.show, failed=self._refused)

    def show(self, run_id: str) -> None:
        """Show a run, from its first event on."""
        self.clear()
        self.run_id = run_id
        self.state = "queued"
        self._begun = time.monotonic()
        self._open.href = self._session.link("runs", f"?run={run_id}")
        self._open.label = f"Run {run_id[:SHORT]}"
        self._open.visible = self._link
        self._stop.visible, self._stop.disabled = True, False
        self._watch = RunWatch(self._session, run_id, self._events, self._ended)

    def clear(self) -> None:
        """Show nothing; a run that was shown goes on."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self.run_id = self.state = ""
        self._bar.visible = self._stop.visible = self._resume.visible = self._open.visible = False
        self._text.say("")
        self._problem.objects = []

    def stop(self) -> None:
        """Ask the run to end; it does within a batch."""
        self._stop.disabled = True
        self._tell(f"{self._what} is being stopped", fraction=None)
        run_id = self.run_id
        self._session.background(lambda: get_jobs().cancel(run_id))

    def resume(self) -> None:
        """Go on with a run that stopped, from its last checkpoint."""
        run_id = self.run_id
        self._resume.visible = False
        self._session.background(lambda: get_jobs().resume(run_id), self.show)

    # -- what the run says -----------------------------------------------------------------------

    def _events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, RunChanged):
                self.state = event.state
            if isinstance(event, Warned):
                self._problem.append(alert("warning", event.message))
        last = events[-1]
        if isinstance(last, RunChanged) and last.state == "running":
            self._tell(f"{self._what} has begun", None)
        else:
            self._tell(last.describe(), _fraction(events))
        if self._on_events is not None:
            self._on_events(events)

    def _ended(self, last: RunChanged) -> None:
        self.state = last.state
        self._stop.visible = False
        self._bar.visible = False
        self._resume.visible = last.state in RESUMABLE
        if last.state == "finished":
            self._tell(f"{self._what} finished", None, working=False)
            if self._on_finished is not None:
                run_id, use = self.run_id, self._on_finished
                self._session.background(lambda: get_jobs().result(run_id), use)
            return
        self._tell(f"{self._what} {last.state}", None, working=False)
        self._explain(last)

    def _explain(self, last: RunChanged) -> None:
        """Show in one sentence why a run did not finish, with its log behind a fold."""
        if last.state != "failed":
            self._problem.append(alert("info", last.message or f"The run is {last.state}."))
            return
        self._problem.append(alert("error", last.message or "The run failed without a reason."))
        run_id = self.run_id

        def show(text: str) -> None:
            self._problem.append(fold("Log of the run", log_pane(text)))

        self._session.background(lambda: log_text(run_id), show)

    def _refused(self, text: str) -> None:
        self.clear()
        self._problem.objects = [alert("error", text)]

    def _tell(self, text: str, fraction: float | None, *, working: bool = True) -> None:
        self._text.say(text)
        self._bar.visible = working
        self._bar.variant = "indeterminate" if fraction is None else "determinate"
        if fraction is not None:
            self._bar.value = int(100 * fraction)

    def __panel__(self) -> Viewable:
        return self._view


def _fraction(events: list[Event]) -> float | None:
    known = [event.fraction for event in events if event.fraction is not None and not isinstance(event, Step)]
    if known:
        return known[-1]
    steps = [event for event in events if isinstance(event, Step) and event.total]
    return steps[-1].done / steps[-1].total if steps else None
