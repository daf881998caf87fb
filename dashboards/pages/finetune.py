"""Fine-tune: train a predictor from a composed module, one module, the bare backbone or scratch, and watch it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.address import query_of
from dashboards.components.layout import columns, section
from dashboards.components.line import Line
from dashboards.components.run_panel import RunPanel
from dashboards.parts.finetune_form import FinetuneForm, FinetuneState
from dashboards.parts.finetune_live import LivePart
from dashboards.parts.finetune_result import ResultPart
from dashboards.parts.finetune_specs import Work, describe, with_seed
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.errors import InputError
from moma_app.training.recipe import Recipe

if TYPE_CHECKING:
    from moma_app.jobs.record import Record
    from moma_app.jobs.spec import RunSpec

UNIT = "finetune"


class FinetunePage:
    """The page in one tab."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._state = FinetuneState(session.query)
        only_run = self._state.query == query_of({"run": self._state.run})
        self._form = FinetuneForm(session, self._state)
        self._start = pmui.Button(
            label="Start fine-tuning",
            icon="play_arrow",
            color="primary",
            variant="contained",
            sizing_mode="stretch_width",
            margin=(10, 10),
        )
        self._title = Line(quiet=True)
        self._run = RunPanel(session, on_events=self._events, on_finished=self._finished, what="Fine-tuning")
        self._live = LivePart(session, waiting=not self._state.run)
        self._result = ResultPart(session, self._repeat)
        self._work: Work | None = None
        self._begun = ""  # run whose curves are shown
        self._start.on_click(session.guard(lambda _: self._begin()))
        self._run.param.watch(session.guard(lambda event: self._changed(event.new)), "run_id")
        self._run.param.watch(session.guard(lambda event: self._starting(event.new == "starting")), "state")
        if self._state.run:
            self._open(self._state.run, fill=only_run)
        session.follow(self._state, ["run"])

    def parts(self) -> list[Viewable]:
        """Return what the page shows."""
        return [
            columns(
                section("What to train", self._form, self._start),
                section("Run", self._title, self._run, self._live, min_height=620),
                widths=[4, 8],
            ),
            pn.Column(self._result, sizing_mode="stretch_width", margin=0),
        ]

    # -- which run -------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._form.recipe.check()
        self._launch(FinetuneState(self._state.query).spec)  # as it is now: it is read in a thread

    def _repeat(self) -> None:
        """Do the same with the next seed."""
        if self._work is None:
            return
        spec = self._work.spec
        recipe = Recipe.from_dict(spec.arguments["recipe"])
        recipe = recipe.with_fit(seed=recipe.fit.seed + 1)
        self._fill(spec)
        self._form.recipe.show(recipe)
        self._launch(lambda: with_seed(spec, recipe.fit.seed))

    def _launch(self, make: Callable[[], RunSpec]) -> None:
        self._clear()

        def define() -> RunSpec:
            spec = make()
            self._work = Work.of(spec)
            return spec

        self._run.start(define)

    def _open(self, run_id: str, *, fill: bool) -> None:
        """Show a run that exists."""

        def find() -> tuple[Record, Work]:
            jobs = get_jobs()
            record = jobs.record(run_id)
            if record.unit != UNIT:
                raise InputError(f"Run {record.id[:8]} is no fine-tuning ({record.name}): see the Runs page.")
            return record, Work.of(jobs.store.spec(record.id))

        def use(found: tuple[Record, Work]) -> None:
            record, self._work = found
            if fill:
                self._fill(self._work.spec)
            self._run.show(record.id)

        def missing(text: str) -> None:
            self._state.run = ""
            self._session.fail(text)

        self._session.background(find, use, failed=missing)

    def _fill(self, spec: RunSpec) -> None:
        """Set the form to what a run does."""
        self._state.take(spec.arguments)
        self._form.recipe.show(Recipe.from_dict(spec.arguments["recipe"]))

    def _starting(self, starting: bool) -> None:
        self._start.disabled = starting
        if not starting:
            self._session.later(self._forget)

    def _forget(self) -> None:
        """Take the run out of the address if there is none, because one could not be started."""
        if not self._run.run_id and self._run.state != "starting":
            self._state.run = ""

    def _clear(self) -> None:
        self._begun = ""
        self._title.say("")
        self._live.clear()
        self._result.clear()

    def _changed(self, run_id: str) -> None:
        """Make place for the events of a run; one that goes on keeps its curves."""
        if not run_id or self._work is None:
            return
        self._state.run = run_id
        if run_id == self._begun:
            return
        self._begun = run_id
        self._title.say(describe(self._work.spec))
        self._result.clear()
        self._live.begin(self._work.about())

    # -- what it says ----------------------------------------------------------------------------

    def _events(self, events: list[Any]) -> None:
        self._live.events(events)

    def _finished(self, result: dict[str, Any]) -> None:
        from moma_app.training.outcome import FitReport

        run_id, work = self._run.run_id, self._work
        if work is None:
            return

        def use(record: Record) -> None:
            if self._run.run_id == record.id:
                fit = FitReport.from_dict(result["fit"])
                self._live.finish(fit)
                self._result.show(record, work.spec, fit, result.get("analysis"))

        self._session.background(lambda: get_jobs().record(run_id), use)


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    return FinetunePage(session).parts()
