"""A plan of an experiment on a page: how many cells are done, start, stop, progress, what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import alert, row
from dashboards.components.line import Line
from dashboards.components.plan_cells import PlanCells
from dashboards.plans import Look, begin, begins, halt, key_of, look_at
from dashboards.session import Session
from moma_app.plots.text import count

if TYPE_CHECKING:
    from moma_app.experiments.plan import Plan
    from moma_app.experiments.standing import PlanStatus

PERIOD = 1500
"""Milliseconds between two looks at a plan whose cells run."""
IDLE = 6
"""A plan of which nothing runs is looked at so many times less often: another tab or a command may start it."""
NOW = 3
"""Cells at work that are named."""


class PlanPanel(Viewer):
    """Shows how a plan stands, and starts and stops it.

    A plan has no state of its own on the server: two tabs, a command and a page that is opened later see the
    same cells. Closing the page leaves them alone.

    Args:
        session: of the page.
        on_change: is called in the page with the plan's status after the first look, and whenever another
            cell has finished or failed: the page then reads the results anew.
        noun: what a cell is to the reader, such as "composition".
    """

    def __init__(
        self,
        session: Session,
        *,
        on_change: Callable[[PlanStatus], None] | None = None,
        noun: str = "cell",
    ) -> None:
        super().__init__()
        self._session, self._on_change, self._noun = session, on_change, noun
        self._plan: Plan | None = None
        self._look: Look | None = None
        self._ended: frozenset[str] | None = None
        self._looking = False
        self._ticks = 0
        self._text = Line(sizing_mode=None)
        self._now = Line(quiet=True, margin=(0, 10))
        self._bar = pmui.LinearProgress(
            value=0,
            max=100,
            variant="determinate",
            sizing_mode="stretch_width",
            margin=(6, 10),
            visible=False,
        )
        self._start = pmui.Button(
            label="Start",
            icon="play_arrow",
            variant="contained",
            color="primary",
            size="small",
            visible=False,
        )
        self._stop = pmui.Button(label="Stop", icon="stop", variant="outlined", size="small", visible=False)
        self._start.on_click(session.guard(lambda _: self.start()))
        self._stop.on_click(session.guard(lambda _: self.stop()))
        self._problem = pn.Column(sizing_mode="stretch_width", margin=0)
        self._cells = PlanCells(session, noun)
        self._view = pn.Column(
            row(self._text, self._start, self._stop),
            self._bar,
            self._now,
            self._problem,
            self._cells,
            sizing_mode="stretch_width",
            min_height=72,
            margin=0,
        )
        session.every(PERIOD, self._tick)

    @property
    def plan(self) -> Plan | None:
        """The plan that is shown."""
        return self._plan

    # -- what a page calls -----------------------------------------------------------------------

    def show(self, plan: Plan) -> None:
        """Show a plan, in place of the one before; nothing is started."""
        if self._plan is not None and key_of(plan) == key_of(self._plan):
            return
        self.clear(f"Looking up which {self._noun}s are done")
        self._plan = plan
        self._bar.param.update(visible=True, variant="indeterminate")
        self._refresh(anew=False)

    def clear(self, text: str = "") -> None:
        """Show no plan; say why. Cells that run go on."""
        self._plan, self._look, self._ended = None, None, None
        self._looking = False
        self._text.say(text)
        self._now.say("")
        self._bar.visible = self._start.visible = self._stop.visible = False
        self._problem.objects = []
        self._cells.show(())

    def start(self) -> None:
        """Start the cells that are missing or failed; handing them over goes on when the page is closed."""
        plan = self._plan
        if plan is None:
            return
        self._start.disabled = True
        self._stop.visible = True
        self._text.say(f"The {self._noun}s are being started")
        self._session.background(lambda: begin(plan), lambda _: self._refresh(), failed=self._not_started)

    def stop(self) -> None:
        """Stop the cells that run or wait; what has finished stays."""
        plan = self._plan
        if plan is None:
            return
        self._stop.disabled = True
        self._text.say(f"The {self._noun}s are being stopped")
        self._session.background(lambda: halt(plan), lambda _: self._refresh(), failed=self._not_stopped)

    # -- looking ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticks += 1
        busy = self._look is not None and (self._look.status.running > 0 or self._stop.visible)
        if busy or self._ticks % IDLE == 0:
            self._refresh(anew=False)

    def _refresh(self, *, anew: bool = True) -> None:
        plan = self._plan
        if plan is None or (self._looking and not anew):
            return
        self._looking = True

        def use(look: Look) -> None:
            if plan is self._plan:
                self._looking = False
                self._present(plan, look)

        def failed(text: str) -> None:
            if plan is self._plan:
                self.clear()
                self._complain(text)

        self._session.background(lambda: look_at(plan, anew=anew), use, failed=failed)

    def _present(self, plan: Plan, look: Look) -> None:
        self._look = look
        status, starting = look.status, begins(plan)
        open_cells = status.missing + status.failed
        self._text.say(sentence(look, self._noun))
        self._now.say(at_work(status))
        self._bar.param.update(
            visible=True, variant="determinate", value=int(100 * status.done / max(status.total, 1))
        )
        self._start.param.update(
            visible=open_cells > 0, disabled=starting, label=f"Start {count(open_cells, self._noun)}"
        )
        self._stop.param.update(visible=starting or status.running > 0, disabled=False)
        self._problem.objects = []
        self._cells.show(status.cells)
        ended = frozenset(cell.run for cell in status.of("done", "failed"))
        if ended != self._ended:
            self._ended = ended
            if self._on_change is not None:
                self._on_change(status)

    # -- what went wrong -------------------------------------------------------------------------

    def _not_started(self, text: str) -> None:
        self._refresh()
        self._session.fail(text)

    def _not_stopped(self, text: str) -> None:
        self._stop.disabled = False
        self._session.fail(text)

    def _complain(self, text: str) -> None:
        self._problem.objects = [alert("error", text)]

    def __panel__(self) -> Viewable:
        return self._view


def sentence(look: Look, noun: str) -> str:
    """Return how a plan stands and how long the rest will take, in one sentence."""
    from moma_app.experiments.estimate import in_words

    status, left = look.status, look.left
    if not status.total:
        return f"There is no {noun} to do."
    if left is None:
        return f"All {count(status.total, noun)} done." if status.total > 1 else f"The {noun} is done."
    queued = len(status.of("queued"))
    counts = {
        "running": status.running - queued,
        "waiting": queued,
        "failed": status.failed,
        "missing": status.missing,
    }
    parts = [f"{status.done:,} of {count(status.total, noun)} done"]
    parts += [f"{number:,} {word}" for word, number in counts.items() if number]
    guess = (
        "" if left.measured == left.cells else ", a first guess" if not left.measured else ", partly guessed"
    )
    return f"{', '.join(parts)}; about {in_words(left.seconds)} on one worker{guess}."


def at_work(status: PlanStatus) -> str:
    """Return which cells are worked on."""
    running = status.of("running")
    named = [
        each.cell.label + ("" if each.fraction is None else f" ({each.fraction:.0%})")
        for each in running[:NOW]
    ]
    more = f" and {len(running) - NOW} more" if len(running) > NOW else ""
    return f"Now: {'; '.join(named)}{more}" if named else ""
