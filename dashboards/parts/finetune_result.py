"""What a finished fine-tuning gave: test errors, where they are, and what to do with the predictor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.facts import Facts
from dashboards.components.figure import Figure
from dashboards.components.layout import columns, section
from dashboards.parts.finetune_comparison import ComparisonPart
from dashboards.parts.finetune_downloads import download_buttons
from dashboards.parts.finetune_worst import WorstPart
from dashboards.session import Session
from moma_app.plots.text import number, seconds_text, with_unit_after

if TYPE_CHECKING:
    from moma_app.jobs.record import Record
    from moma_app.jobs.spec import RunSpec
    from moma_app.training.outcome import FitReport

OLD = "This run does not say where its errors are (by element, cell size, structure): repeat it to see that."


class ResultPart(Viewer):
    """Everything below the curves, from the end of a run on; made when the first one ends.

    Args:
        session: of the page.
        on_repeat: is called when the same is wanted with another seed.
    """

    def __init__(self, session: Session, on_repeat: Callable[[], None]) -> None:
        super().__init__()
        self._session = session
        self._on_repeat = on_repeat
        self._parts: Parts | None = None
        self._view = pn.Column(sizing_mode="stretch_width", margin=0, visible=False)

    def clear(self) -> None:
        """Show nothing."""
        self._view.visible = False
        if self._parts is not None:
            self._parts.clear()

    def show(self, record: Record, spec: RunSpec, fit: FitReport, analysis: dict[str, Any] | None) -> None:
        """Show a finished run.

        Args:
            record: of the run.
            spec: what it did.
            fit: what it gave.
            analysis: where its errors are, see :class:`~moma_app.plots.analysis_values.ErrorAnalysis`.
        """
        from moma_app.plots import confusion, parity
        from moma_app.plots.payloads import is_classification

        parts = self._parts or Parts(self._session)
        classes = is_classification(fit)
        parts.facts.reset(())
        parts.facts.show(result_facts(fit))
        parts.actions.objects = self._buttons(record.id, fit)
        draw = confusion if classes else parity
        parts.parity.show(lambda mode: draw([fit], mode=mode))
        parts.show_analysis(fit, analysis)
        if self._parts is None:  # shown when they are filled, so that the browser draws them once
            self._view.objects = parts.layout()
            self._parts = parts
        self._view.visible = True
        parts.comparison.show(record, spec, fit)

    def _buttons(self, run_id: str, fit: FitReport) -> list[Any]:
        look = {"size": "small", "variant": "outlined"}
        link = self._session.link
        repeat = pmui.Button(label="Repeat with another seed", icon="replay", **look)
        repeat.on_click(self._session.guard(lambda _: self._on_repeat()))
        return [
            pmui.Button(
                label="Predict with it",
                icon="batch_prediction",
                size="small",
                variant="contained",
                href=link("predict", f"?run={run_id}"),
            ),
            *download_buttons(self._session, run_id, fit),
            repeat,
            pmui.Button(label="Open in Runs", icon="history", href=link("runs", f"?run={run_id}"), **look),
        ]

    def __panel__(self) -> Viewable:
        return self._view


class Parts:
    """The parts of a result."""

    def __init__(self, session: Session) -> None:
        self.facts = Facts()
        self.actions = pmui.FlexBox(
            sizing_mode="stretch_width", align_items="center", gap="4px", margin=(4, 6)
        )
        self.comparison = ComparisonPart(session)
        self.parity = Figure(session, height=420)
        self.sizes = Figure(session, height=420)
        self.elements = Figure(session, height=400)
        self.worst = WorstPart(session)
        self.where = pn.Column(
            section(
                "Error by element",
                self.elements,
                note="Mean over the test structures that hold an element; their number shows when it is pointed at.",
            ),
            section("Worst structures", self.worst),
            sizing_mode="stretch_width",
            margin=0,
        )

    def layout(self) -> list[Viewable]:
        """Return the sections, from top to bottom."""
        return [
            section("Test result", self.facts, self.actions),
            section("Compared with other starts", self.comparison),
            columns(
                section("Predicted against true values", self.parity),
                section("Error by cell size", self.sizes),
                widths=[6, 6],
            ),
            self.where,
        ]

    def clear(self) -> None:
        """Empty all."""
        self.facts.reset(())
        self.comparison.clear()
        self.worst.clear()
        for figure in (self.parity, self.elements, self.sizes):
            figure.clear("")

    def show_analysis(self, fit: FitReport, analysis: dict[str, Any] | None) -> None:
        """Show where the errors of a fit are, if that is known."""
        self.where.visible = bool(analysis)
        if not analysis:
            self.sizes.clear(OLD)
            return
        from moma_app.plots import error_by_size, periodic_table
        from moma_app.plots.analysis_values import ErrorAnalysis
        from moma_app.plots.payloads import is_classification

        found = ErrorAnalysis.from_dict(analysis)
        classes = is_classification(fit)
        what = "Share of wrong classes" if classes else "Mean absolute error"
        errors = {entry.element: entry.mae for entry in found.by_element}
        counts = {entry.element: entry.n for entry in found.by_element}
        self.elements.show(
            lambda mode: periodic_table(errors, what, "" if classes else fit.unit, counts=counts, mode=mode)
        )
        if classes:
            self.sizes.clear("Of classes there is no error to draw against the size of the cell.")
        else:
            self.sizes.show(lambda mode: error_by_size(found.rows, fit.unit, mode=mode))
        self.worst.show(fit, found.worst)


def result_facts(fit: FitReport) -> dict[str, str]:
    """Return a fit's test errors and how it was reached, in words by name."""
    metrics, unit = fit.metrics, fit.unit
    epochs = "–" if fit.curve is None else f"{len(fit.curve.epoch)} (kept {fit.best_epoch})"
    shared = {"Test structures": f"{len(fit.ids):,}", "Epochs": epochs, "Time": seconds_text(fit.seconds)}
    if "accuracy" in metrics:
        return {
            "Accuracy": f"{100 * metrics['accuracy']:.1f} %",
            "Macro F1": number(metrics.get("macro_f1")),
            **shared,
        }
    mad = metrics.get("mad")
    return {
        "Test MAE": with_unit_after(metrics["mae"], unit),
        "MAE/MAD": number(metrics["mae"] / mad if mad else None),
        "RMSE": with_unit_after(metrics["rmse"], unit),
        "R²": number(metrics.get("r2")),
        **shared,
    }
