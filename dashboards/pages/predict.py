"""Predict: drop structures, choose a predictor or the whole hub, get values with units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable

from dashboards.address import PageState
from dashboards.components.layout import columns, empty, muted, section
from dashboards.components.predictions import prediction_view
from dashboards.components.run_panel import RunPanel
from dashboards.services import get_jobs, hub_choices
from dashboards.session import Session
from dashboards.uploads import DropBox, Upload

if TYPE_CHECKING:
    from moma_app.jobs.record import Record
    from moma_app.jobs.spec import RunSpec

SUFFIXES = (
    ".cif",
    ".vasp",
    ".poscar",
    ".contcar",
    ".json",
    ".jsonl",
    ".xyz",
    ".extxyz",
    ".csv",
    ".parquet",
    ".xlsx",
)
WHOLE_HUB = ""
MOST_PREDICTORS = 300
"""Predictors that the list offers, the newest first."""


class PredictState(PageState):
    """The predictor, by the run that made it; the hub that is used without one; the prediction that is shown."""

    made_by = param.String(doc="Run that made the predictor; empty for the whole hub.")
    hub = param.String()
    run = param.String(doc="Prediction that is shown.")


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    return PredictPage(session).view


class PredictPage:
    """Ties the choice of a predictor and the dropped files to a run and its table."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.state = PredictState(session.query)
        self._files: list[Upload] = []
        self._predictor = pmui.Select(
            label="Predict with",
            options={"The whole hub: every module its own property": WHOLE_HUB},
            value=WHOLE_HUB,
            searchable=True,
            size="small",
            sizing_mode="stretch_width",
        )
        hubs = hub_choices()
        names = hubs if self.state.hub in hubs.values() else {**hubs, self.state.hub: self.state.hub}
        self._hub = pmui.Select(
            label="Hub", options=names, value=self.state.hub, size="small", sizing_mode="stretch_width"
        )
        self._drop = DropBox(
            session,
            self._given,
            label="Drop CIF, POSCAR, pymatgen JSON, xyz files, or a table (CSV, Excel, Parquet) with a column of structures",
            suffixes=SUFFIXES,
            many=True,
        )
        self._chosen = muted("No file yet.")
        self._go = pmui.Button(
            label="Predict", icon="batch_prediction", color="primary", disabled=True, margin=(8, 10)
        )
        self._run = RunPanel(session, on_finished=self._finished, what="Prediction")
        self._answer = pn.Column(
            empty("Drop files and press Predict: values with units appear here, with the structures in 3D."),
            sizing_mode="stretch_width",
            min_height=260,
            margin=0,
        )
        self._go.on_click(session.guard(lambda _: self.predict()))
        self._predictor.param.watch(lambda event: self.state.param.update(made_by=event.new or ""), "value")
        self._hub.param.watch(lambda event: self.state.param.update(hub=event.new or ""), "value")
        self._run.param.watch(lambda event: self.state.param.update(run=event.new), "run_id")
        self.state.param.watch(lambda _: self._fit(), "made_by")
        session.follow(self.state)
        session.background(predictors, self._offer)
        self._fit()
        self.view = self._layout()
        if self.state.run:
            asked = self.state.run
            session.background(lambda: get_jobs().store.find(asked), self._open)

    def predict(self) -> None:
        """Start a prediction for the files that were given."""
        files, state = list(self._files), self.state

        def make() -> RunSpec:
            from moma_app.work.predict import predict_spec

            return predict_spec(
                [file.path for file in files],
                labels=[file.name for file in files],
                run=state.made_by or None,
                hub=state.hub or None,
            )

        self._answer.objects = []
        self._run.start(make)

    def _open(self, record: Record) -> None:
        """Show the run of the address: a prediction, or one that made a predictor to predict with."""
        if record.unit == "predict":
            self._run.show(record.id)
        else:
            self.state.param.update(run="", made_by=record.id)
            self._session.background(predictors, self._offer)

    def _given(self, files: list[Upload]) -> None:
        self._files = files
        names = ", ".join(file.name for file in files[:4]) + (
            f" and {len(files) - 4} more" if len(files) > 4 else ""
        )
        self._chosen.object = muted(names).object
        self._go.disabled = False

    def _finished(self, result: dict[str, Any]) -> None:
        self._answer.objects = [prediction_view(self._session, result, wide=True)]

    def _offer(self, records: list[Record]) -> None:
        options = {"The whole hub: every module its own property": WHOLE_HUB}
        options |= {offer(record): record.id for record in records}
        chosen = next(
            (r.id for r in records if self.state.made_by and r.id.startswith(self.state.made_by)), WHOLE_HUB
        )
        if self.state.made_by and not chosen:
            self._session.fail(
                f"There is no predictor of run {self.state.made_by[:8]} here: choose another one."
            )
        self._predictor.param.update(options=options, value=chosen)

    def _fit(self) -> None:
        self._hub.visible = not self.state.made_by

    def _layout(self) -> list[Viewable]:
        return [
            columns(
                section("Structures", self._drop, self._chosen, min_height=220),
                section(
                    "Predictor",
                    self._predictor,
                    self._hub,
                    pn.Row(self._go, margin=0),
                    self._run,
                    min_height=220,
                ),
                widths=[6, 6],
            ),
            section("Predictions", self._answer),
        ]


def predictors() -> list[Record]:
    """Return the finished runs that made a predictor, newest first."""
    store = get_jobs().store
    found = [
        record
        for unit in ("finetune", "compose")
        for record in store.runs(states=["finished"], unit=unit, limit=MOST_PREDICTORS)
        if unit == "finetune" or "test_mae" in record.metrics
    ]
    return sorted(found, key=lambda record: record.created, reverse=True)


def offer(record: Record) -> str:
    """Return a predictor in one line: what it is for, its test error, when and by which run it was made."""
    import time

    error = f", test MAE {record.metrics['test_mae']:.4g}" if "test_mae" in record.metrics else ""
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created))
    return f"{record.name}{error}, {made}, run {record.id[:8]}"
