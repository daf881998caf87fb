"""TrainingMonitor: a run as it goes on, with live curves and a button that stops it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from moma_app.errors import MomaError
from moma_app.jobs.states import SHORT
from moma_app.markup import Markup, element, join
from moma_app.plots.fit_progress import About, FitProgress, about_fit
from moma_app.plots.text import weight_text
from moma_app.progress import EpochEnded, Event, ModuleEncoded, RunChanged, Step, Warned, WeightsSolved
from moma_app.widgets.base import Widget
from moma_app.widgets.figure import FigureBox
from moma_app.widgets.look import Look, facts, html, row
from moma_app.widgets.toolkit import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.order import Outcome
    from moma_app.jobs.record import Record
    from moma_app.plots.live import Encoded, Live
    from moma_app.training.outcome import FitReport

PERIOD = 0.4
"""Seconds between two changes of the figure."""
MOST_NAMED = 6
"""Modules with weight that are named."""


class TrainingMonitor(Widget):
    """Follows a run from its first event to its end, whoever started it and wherever it works.

    Closing the widget ends the watching and leaves the run alone; the button stops the run.

    Args:
        run: the first digits of a run's id, its record, or its outcome.
        jobs: the job layer; by default one with the settings of the environment.
        look: whether the figures are for light or dark themes.

    Attributes:
        button: stops the run.

    Raises:
        UnknownNameError, InputError: none or several runs have such an id.
    """

    def __init__(self, run: str | Outcome | Record, jobs: Jobs | None = None, *, look: Look = "auto") -> None:
        from moma_app.jobs.jobs import Jobs

        super().__init__(look=look)
        self._own = None if jobs is not None else Jobs()
        self._jobs = jobs or self._own or Jobs()
        self._record = self._jobs.record(_id_of(run))
        self._about = self._look_up()
        self._progress = FitProgress()
        self._state: str = self._record.state
        self._outcome: Outcome | None = None
        self._curves: Live[Sequence[EpochEnded]] | None = None
        self._bars: Live[Encoded] | None = None
        self._closed = threading.Event()
        self._news: set[type[Event]] = set()
        self._drawn = 0.0
        self.button = ipywidgets.Button(
            description="Stop", icon="stop", layout=ipywidgets.Layout(width="84px"), disabled=True
        )
        self.button.on_click(self._guarded(lambda _: self.stop()))
        self._title = html(join([element("b", self._record.name), f"  run {self._record.id[:SHORT]}"]))
        self._bar = ipywidgets.FloatProgress(
            min=0.0, max=1.0, layout=ipywidgets.Layout(width="100%", height="8px")
        )
        self._numbers = html()
        self._warnings = html()
        self._figure = FigureBox(look)
        self._fill(
            row(self._title, self.button),
            self._line,
            self._bar,
            self._numbers,
            self._figure,
            self._warnings,
        )
        self._say(f"The run is {self._state}.")
        self._begin(self._watch, "moma-monitor")

    # -- what it gives ---------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._record.id

    @property
    def state(self) -> str:
        """State of the run as far as it has been heard of."""
        return self._state

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; ``None`` while it goes on."""
        return self._outcome

    @property
    def result(self) -> FitReport | dict[str, Any] | None:
        """What the run gave: of a fit its report, else what the unit returned; ``None`` before its good end.

        ``monitor.wait().result`` waits for it.
        """
        if self._outcome is None or self._outcome.state != "finished":
            return None
        if self._outcome.result.get("fit"):
            from moma_app.training.outcome import FitReport

            return FitReport.from_dict(self._outcome.result["fit"])
        return self._outcome.result

    def stop(self) -> None:
        """Ask the run to end; it does within a batch."""
        self.button.disabled = True
        self._say("The run is being stopped …")
        threading.Thread(target=self._guarded(self._cancel), name="moma-monitor-stop", daemon=True).start()

    def _cancel(self) -> None:
        try:
            self._jobs.cancel(self.run_id)
        except MomaError:
            if self._jobs.record(self.run_id).open:
                raise
            # else it has ended by itself meanwhile, which the watching tells

    # -- following -------------------------------------------------------------------------------

    def _look_up(self) -> About:
        from moma_app.tasks import get_task

        spec = self._jobs.store.spec(self._record.id)
        try:
            task = get_task(spec.task).spec
        except MomaError:
            task = None
        if "recipe" in spec.arguments and "start" in spec.arguments:
            return about_fit(spec.arguments, task)
        modules = (spec.arguments.get("amc") or {}).get("modules") or ()
        return About(unit="" if task is None else task.unit, modules=tuple(modules))

    def _watch(self) -> None:
        """Follow the run in a thread: events are taken as they come, the figure changes now and then."""
        for entry in self._jobs.watch(self.run_id, self._stopped):
            self._heard(entry.event)
        if self._closed.is_set():
            return
        self._draw()
        self._ended(self._jobs.outcome(self.run_id))

    def _stopped(self) -> bool:
        """Say whether nobody looks any more; asked many times a second, which is when the figure changes."""
        if self._news and time.monotonic() - self._drawn > PERIOD:
            self._draw()
        return self._closed.is_set()

    def _heard(self, event: Event) -> None:
        self._progress.take([event])
        self._news.add(type(event))
        if isinstance(event, RunChanged):
            self._state = event.state
            self.button.disabled = event.state not in ("queued", "running")
        if isinstance(event, Warned):
            self._warnings.value += str(element("p", event.message, class_="moma-muted"))
        fraction = event.done / event.total if isinstance(event, Step) and event.total else event.fraction
        if fraction is not None:
            self._bar.value = min(max(fraction, 0.0), 1.0)
        self._say(event.describe())

    def _draw(self) -> None:
        news, self._news = self._news, set()
        self._drawn = time.monotonic()
        if self._progress.epochs or self._progress.weights:
            self._numbers.value = str(self._facts())
        if self._progress.epochs:
            if self._curves is None:
                from moma_app.plots.live import live_curves

                self._curves, self._bars = (
                    live_curves(
                        epochs=self._about.epochs,
                        unit=self._about.unit,
                        classes=self._about.classes,
                        mode=self._figure.mode,
                    ),
                    None,
                )
                self._curves.send(self._progress.epochs)
                self._figure.show(self._curves.figure)
            elif EpochEnded in news:
                with self._figure.changing():
                    self._curves.send(self._progress.epochs)
        elif self._progress.modules and news & {ModuleEncoded, WeightsSolved}:
            self._draw_bars()

    def _draw_bars(self) -> None:
        from moma_app.plots.live import Encoded, live_bars

        first = self._bars is None
        if self._bars is None:
            names = self._about.modules or tuple(self._progress.modules)
            self._bars = live_bars(names, unit=self._about.unit, mode=self._figure.mode)
        errors = {name: event.proxy_mae for name, event in self._progress.modules.items()}
        with self._figure.changing():
            self._bars.send(Encoded(errors, self._progress.weights or None))
        if first:
            self._figure.show(self._bars.figure)

    def _ended(self, outcome: Outcome) -> None:
        self._outcome, self._state = outcome, outcome.state
        self.button.layout.display = "none"
        self._bar.layout.display = "none"
        if outcome.state == "failed":
            self._fail(MomaError(outcome.message or "The run failed without a reason."))
            return
        report = self.result
        if outcome.state == "finished" and report is not None and not isinstance(report, dict):
            self._show_curve(report)
        self._say(f"The run is {outcome.state}." + (f" {outcome.message}" if outcome.message else ""))
        self._numbers.value = str(self._facts())

    def _show_curve(self, report: FitReport) -> None:
        """Show the curve of a run whose events are not on this machine."""
        from moma_app.plots import learning_curves

        if self._curves is None and report.curve is not None and report.curve.epoch:
            self._figure.show(learning_curves([report], mode=self._figure.mode))

    # -- what is shown ---------------------------------------------------------------------------

    def _facts(self) -> Markup:
        from moma_app.plots.text import with_unit_after

        known: dict[str, str] = {}
        if self._progress.epochs:
            known = self._progress.facts(self._about.unit, classes=self._about.classes)
            if self._outcome is not None:
                del known["Time left"], known["Throughput"], known["Learning rate"]
        weights = sorted(self._progress.weights.items(), key=lambda item: -item[1])
        chosen = [f"{name} {weight_text(weight)}" for name, weight in weights if weight > 0]
        if chosen:
            more = f" and {len(chosen) - MOST_NAMED} more" if len(chosen) > MOST_NAMED else ""
            known["AMC weights"] = ", ".join(chosen[:MOST_NAMED]) + more
        report = self.result
        if report is not None and not isinstance(report, dict):
            for name, value in report.metrics.items():
                if name in ("mae", "rmse"):
                    known[f"Test {name.upper()}"] = with_unit_after(value, report.unit)
                elif name == "accuracy":
                    known["Test accuracy"] = f"{value:.3f}"
        return facts(known)

    def _still(self) -> Markup:
        from moma_app.plots.card_curve import series_of_epochs
        from moma_app.plots.payloads import curves_of
        from moma_app.plots.still import still_curves

        parts = [
            element("p", element("b", self._record.name), f", run {self.run_id[:SHORT]}: {self._state}"),
            self._facts(),
        ]
        report = self.result
        series = series_of_epochs(self._progress.epochs, "fit")
        if series is None and report is not None and not isinstance(report, dict):
            from moma_app.plots.card_curve import series_of_fit

            series = series_of_fit(report, "fit")
        if series is not None:
            parts.append(still_curves(curves_of([series], self._about.unit, classes=self._about.classes)))
        return join(parts)

    def _words(self) -> str:
        return f"run={self.run_id[:SHORT]!r}, state={self._state!r}"

    def _end(self) -> None:
        self._closed.set()
        self.wait(10.0)
        if self._own is not None:
            self._own.close()


def _id_of(run: str | Outcome | Record) -> str:
    if isinstance(run, str):
        return run
    return run.run_id if hasattr(run, "run_id") else run.id
