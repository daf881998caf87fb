"""The test error of a run beside those of other starts on the same rows; what is missing can be started."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.components.line import Line
from dashboards.components.table import Table
from dashboards.feeds import RunWatch
from dashboards.parts.finetune_specs import from_start
from dashboards.parts.finished_fits import FinishedFit, comparison_rows, finished_fits, groups_of
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.plots.text import with_unit

if TYPE_CHECKING:
    from moma_app.jobs.record import Record
    from moma_app.jobs.spec import RunSpec
    from moma_app.progress import RunChanged
    from moma_app.training.outcome import FitReport

STARTS = {
    "composed": "Composed module",
    "backbone": "Bare backbone",
    "scratch": "From scratch",
    "instant": "Instant predictor",
}
"""Starts that belong into a comparison, and what their buttons are called."""


class ComparisonPart(Viewer):
    """A table and bars of all finished fits on the same rows."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._record: Record | None = None
        self._spec: RunSpec | None = None
        self._fit: FitReport | None = None
        self._note = Line(quiet=True)
        self._figure = Figure(session, height=126)
        self._place = pn.Column(sizing_mode="stretch_width", min_height=160, margin=0)
        self._buttons = pmui.FlexBox(sizing_mode="stretch_width", align_items="center", min_height=44)
        self._waited: dict[str, RunWatch] = {}
        self._view = pn.Column(
            self._note,
            self._figure,
            self._place,
            self._buttons,
            sizing_mode="stretch_width",
            margin=0,
        )

    def clear(self) -> None:
        """Show that there is nothing yet."""
        self._record = self._spec = self._fit = None
        self._note.say("")
        self._figure.clear()
        self._place.objects, self._buttons.objects = [], []
        for watch in self._waited.values():
            watch.close()
        self._waited = {}

    def show(self, record: Record, spec: RunSpec, fit: FitReport) -> None:
        """Compare a finished run with the others."""
        self._record, self._spec, self._fit = record, spec, fit
        self._look()

    def _look(self) -> None:
        record, fit = self._record, self._fit
        if record is None or fit is None:
            return

        def find() -> tuple[list[FinishedFit], list[dict[str, Any]]]:
            fits = finished_fits(record, fit)
            return fits, comparison_rows(fits, record.id)

        def use(found: tuple[list[FinishedFit], list[dict[str, Any]]]) -> None:
            if self._record is record:
                self._fill(*found)

        self._session.background(find, use)

    def _fill(self, fits: list[FinishedFit], rows: list[dict[str, Any]]) -> None:
        from moma_app.plots.payloads import is_classification

        fit = self._fit
        assert fit is not None
        shots = "all training structures" if fit.shots is None else f"{fit.shots:,} training structures"
        self._note.say(
            f"Finished fits of {fit.task} on split {fit.split} with {shots}, tested on the same {len(fit.ids):,} structures. "
            "Within noise: the difference row by row is less than two standard errors."
        )
        classes = is_classification(fit)
        error = "Wrong classes (share)" if classes else with_unit("Test MAE", fit.unit)
        names = {
            "start": "Start",
            **({"settings": "Other settings"} if any(row["settings"] for row in rows) else {}),
            "seed": "Seed",
            "error": error,
            **({} if classes else {"of_mad": "MAE/MAD"}),
            "difference": "Difference",
            "seconds": "Time (s)",
            "run": "Run",
        }
        digits = {error: 4, "MAE/MAD": 3, "Time (s)": 3}
        links = {"Run": self._session.link("runs", "?run=")}
        table = Table(self._session, list(names.values()), digits=digits, links=links, page_size=8)
        table.show([{name: row[key] for key, name in names.items()} for row in rows])
        self._place.objects = [table]
        if classes:
            self._figure.clear("The bars are for numbers; this task predicts classes.")
        else:
            self._draw(groups_of(rows, self._record.id if self._record else ""), fit.unit)
        self._offer_missing({tested.fit.start for tested in fits}, classes=classes)

    def _draw(self, groups: dict[str, list[float]], unit: str) -> None:
        """Draw the errors of each start as a bar."""
        from moma_app.plots import comparison_bars
        from moma_app.plots.starts import StartErrors

        starts = [StartErrors(name, errors) for name, errors in groups.items()]
        self._figure.show(lambda mode: comparison_bars(starts, unit=unit, mode=mode))

    # -- what is missing -------------------------------------------------------------------------

    def _offer_missing(self, present: set[str], *, classes: bool) -> None:
        have = {"instant" if start.startswith("instant") else start for start in present}
        wanted = [s for s in STARTS if s not in have and not (classes and s in ("composed", "instant"))]
        buttons = [
            pmui.Button(
                label=STARTS[start],
                icon="add",
                variant="outlined",
                size="small",
                loading=start in self._waited,
                disabled=start in self._waited,
                on_click=self._session.guard(partial(self._begin, start)),
            )
            for start in wanted
        ]
        lead = pmui.Typography(
            "Compare with:", variant="body2", margin=(0, 10), sx={"color": "text.secondary"}
        )
        self._buttons.objects = [lead, *buttons] if buttons else []

    def _begin(self, start: str, event: object) -> None:
        """Start a run for the comparison, and look again when it has ended."""
        spec = self._spec
        if spec is None or start in self._waited:
            return
        button = getattr(event, "obj", None)
        if button is not None:
            button.param.update(disabled=True, loading=True)

        def submit() -> str:
            return get_jobs().submit(from_start(spec, start))

        def follow(run_id: str) -> None:
            self._session.say(f"Run {run_id[:8]} has started; its error will appear here.")
            self._waited[start] = RunWatch(self._session, run_id, lambda _: None, self._ender(start))

        def refused(text: str) -> None:
            self._session.fail(text)
            self._look()

        self._session.background(submit, follow, failed=refused)

    def _ender(self, start: str) -> Callable[[RunChanged], None]:
        def ended(last: RunChanged) -> None:
            self._waited.pop(start, None)
            if last.state != "finished":
                self._session.fail(f"The run for {STARTS[start]} is {last.state}: {last.message}")
            self._look()

        return ended

    def __panel__(self) -> Viewable:
        return self._view
