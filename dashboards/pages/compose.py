"""Compose: choose a dataset, watch AMC weigh the hub's modules, predict at once, see why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.components.help import amc_help
from dashboards.components.layout import columns, section
from dashboards.components.run_panel import RunPanel
from dashboards.parts.compose_modules import ModulesPart
from dashboards.parts.compose_state import ComposeForm, ComposeState
from dashboards.parts.dataset_card import DatasetCard
from dashboards.parts.instant_card import InstantCard
from dashboards.parts.why_card import WhyCard
from dashboards.services import artefact, get_jobs
from dashboards.session import Session
from moma_app.errors import InputError
from moma_app.progress import Event

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult


@dataclass(frozen=True)
class Asked:
    """What a composition was asked.

    Attributes:
        task, unit: the dataset.
        modules: names of those to consider.
    """

    task: str
    unit: str
    modules: list[str]


def asked_of(run_id: str) -> Asked:
    """Read what a recorded composition was asked.

    Raises:
        UnknownNameError: there is no such run.
        InputError: it is a run of another kind.
    """
    from moma_app.tasks import get_task

    spec = get_jobs().store.spec(get_jobs().store.find(run_id).id)
    asked = spec.arguments.get("of", spec.arguments)  # a cell of an experiment does another unit's work
    if "amc" not in asked:
        raise InputError(f"Run {run_id[:8]} is no composition: open it on the Runs page.")
    task = asked["task"]
    return Asked(task, get_task(task).spec.unit, list(asked["amc"]["modules"] or []))


def composition_of(run_id: str) -> AMCResult:
    """Read the composition that a finished cell of an experiment has kept.

    Raises:
        DataNotFoundError: it has none: it began with the bare backbone.
    """
    from moma_app.amc.result import AMCResult

    return AMCResult.from_json(artefact(run_id, "composition.json").read_text(encoding="utf-8"))


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    return ComposePage(session).view


class ComposePage:
    """Ties the parts of the page to its state and its run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.state = ComposeState(session.query)
        self._form = ComposeForm(session, self.state)
        self._dataset = DatasetCard(session)
        self._why = WhyCard(session, self.state)
        self._modules = ModulesPart(session, self.state, self._why.show)
        self._instant = InstantCard(session)
        self._run = RunPanel(session, on_events=self._events, on_finished=self._finished, what="Composition")
        self._go = pmui.Button(label="Compose", icon="hub", color="primary", margin=(8, 10))
        self._go.on_click(session.guard(lambda _: self.compose()))
        session.follow(self.state)
        self._run.param.watch(lambda event: self._run_changed(event.new), "run_id")
        self.state.param.watch(lambda _: self._rows_changed(), ["task", "split"])
        self._run.param.watch(lambda event: self._go.param.update(disabled=event.new in _BUSY), "state")
        self.view = self._layout()
        if self.state.task:
            self._dataset.show(self.state.task, self.state.split)
        if self.state.run:
            self._run.show(self.state.run)

    def compose(self) -> None:
        """Start a composition with what the form says."""
        if not self.state.task:
            self._session.fail("Choose a dataset first.")
            return
        self._clear()
        self._run.start(self.state.spec)

    def _clear(self) -> None:
        self._modules.clear()
        self._instant.clear()
        self._why.clear()

    def _run_changed(self, run_id: str) -> None:
        """Keep the run in the address, and free the places of its modules."""
        self.state.run = run_id
        if run_id:
            self._session.background(lambda: asked_of(run_id), self._asked)

    def _asked(self, asked: Asked) -> None:
        self.state.param.update(task=asked.task)
        self._modules.begin(asked.unit, asked.modules)

    def _rows_changed(self) -> None:
        self._dataset.show(self.state.task, self.state.split)
        if self._run.run_id and self._run.state not in _BUSY:
            self._run.clear()
            self._clear()

    def _events(self, events: list[Event]) -> None:
        self._modules.events(events)

    def _finished(self, result: dict[str, Any]) -> None:
        from moma_app.amc.result import AMCResult
        from moma_app.training.outcome import FitReport

        run_id = self._run.run_id
        if result.get("composition"):
            self._modules.show(run_id, AMCResult.from_dict(result["composition"]))
        elif "row" in result:  # of a cell
            self._session.background(
                lambda: composition_of(run_id), lambda found: self._modules.show(run_id, found)
            )
        if result.get("fit"):
            self._instant.show(self._run.run_id, FitReport.from_dict(result["fit"]))

    def _layout(self) -> list[Viewable]:
        return [
            columns(
                section(
                    "",
                    self._form,
                    pn.Row(self._go, margin=0),
                    self._run,
                    min_height=420,
                ),
                section("Dataset", self._dataset, min_height=420),
                widths=[4, 8],
            ),
            section("Modules", amc_help(), self._modules),
            section("Instant predictor", self._instant),
            section(
                "Why",
                self._why,
                note="What one module's neighbours say of each training structure, against its true value.",
            ),
        ]


_BUSY = ("starting", "queued", "running")
