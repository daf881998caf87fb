"""The instant predictor: test error, parity plot, and a first prediction for a CIF file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.components.layout import columns, literal
from dashboards.components.predictions import prediction_view
from dashboards.components.run_panel import RunPanel
from dashboards.session import Session
from dashboards.uploads import DropBox, Upload

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport

STRUCTURE_FILES = (".cif", ".vasp", ".poscar", ".json", ".xyz", ".extxyz")


class InstantCard(Viewer):
    """What frozen features of the composed module already predict, without fine-tuning."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._run_id = ""
        self._facts = pmui.Typography("", variant="body1", margin=(4, 10), sizing_mode="stretch_width")
        self._figure = Figure(
            session, height=420, waiting="The parity plot of the test structures appears here."
        )
        self._drop = DropBox(
            session,
            self._predict,
            label="Drop a CIF or POSCAR file for a first prediction",
            suffixes=STRUCTURE_FILES,
            many=True,
        )
        self._run = RunPanel(session, on_finished=self._predicted, what="Prediction")
        self._answer = pn.Column(sizing_mode="stretch_width", margin=0)
        self._next = pn.Row(margin=(0, 0), sizing_mode="stretch_width")
        side = pn.Column(
            self._facts,
            self._drop,
            self._run,
            self._answer,
            self._next,
            sizing_mode="stretch_width",
            margin=0,
        )
        self._view = columns(side, self._figure, widths=[5, 7])
        self.clear()

    def clear(self) -> None:
        """Show that there is nothing yet."""
        self._run_id = ""
        self._facts.object = (
            "After the weights, a Gaussian process on the composed module's features is fitted and tested."
        )
        self._figure.clear()
        self._drop.visible = False
        self._answer.objects, self._next.objects = [], []
        self._run.clear()

    def show(self, run_id: str, fit: FitReport) -> None:
        """Show a finished instant predictor."""
        from moma_app.plots import parity

        self._run_id = run_id
        self._facts.object = literal(sentence(fit))
        self._drop.visible = True
        self._next.objects = [
            pmui.Button(
                label="Fine-tune it",
                icon="tune",
                variant="outlined",
                size="small",
                href=self._session.link("finetune", f"?task={fit.task}&split={fit.split}"),
            ),
            pmui.Button(
                label="Predict many",
                icon="batch_prediction",
                variant="outlined",
                size="small",
                href=self._session.link("predict", f"?made_by={run_id}"),
            ),
        ]
        self._figure.show(lambda mode: parity([fit], mode=mode))

    def _predict(self, files: list[Upload]) -> None:
        from moma_app.jobs.spec import RunSpec

        run_id = self._run_id

        def make() -> RunSpec:
            from moma_app.work.predict import predict_spec

            return predict_spec(
                [file.path for file in files], run=run_id, labels=[file.name for file in files]
            )

        self._answer.objects = []
        self._run.start(make)

    def _predicted(self, result: dict[str, Any]) -> None:
        self._answer.objects = [prediction_view(self._session, result)]

    def __panel__(self) -> Viewable:
        return self._view


def sentence(fit: FitReport) -> str:
    """Return the test error of a fit in words, with what it is to be compared with."""
    unit = f" {fit.unit}" if fit.unit else ""
    metrics = fit.metrics
    parts = [f"Test MAE {metrics['mae']:.4g}{unit} on {metrics.get('n', len(fit.ids)):,.0f} structures"]
    if metrics.get("mad"):
        parts.append(
            f"{metrics['mae'] / metrics['mad']:.0%} of the mean absolute deviation ({metrics['mad']:.4g}{unit}), the error of "
            "always predicting the mean"
        )
    text = ": ".join(parts) + "."
    if fit.start == "instant:mixture":
        made_of = fit.label.removeprefix("instant, ")
        text = f"From a {made_of}, which share no initialisation and so are not merged. {text}"
    if "coverage90" in metrics:
        text += f" {metrics['coverage90']:.0%} of the test values lie in the 90 % intervals."
    return f"{text} {fit.seconds:.1f} s on {fit.hardware}."
