"""A fine-tuning as it goes on: numbers, learning curves, and the modules of a composed start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.facts import Facts
from dashboards.components.figure import Figure
from dashboards.components.layout import muted
from dashboards.session import Mode, Session
from moma_app.plots.fit_progress import About, FitProgress
from moma_app.progress import EpochEnded, Event, ModuleEncoded, WeightsSolved

if TYPE_CHECKING:
    from moma_app.plots.live import Encoded, Live
    from moma_app.training.outcome import FitReport

WAITING = "Choose a dataset and press Start fine-tuning: the learning curves grow here."
TOP = 10
"""Modules in the small chart of a composed start."""


class LivePart(Viewer):
    """Grows with a run's events; figures take new data in place.

    Args:
        session: of the page.
        waiting: say what to do as long as there is no run; not where one is about to be shown.
    """

    def __init__(self, session: Session, *, waiting: bool) -> None:
        super().__init__()
        self._live: Live[Sequence[EpochEnded]] | None = None
        self._bars: Live[Encoded] | None = None
        self._facts = Facts()
        self._curves = Figure(
            session,
            height=430,
            waiting=WAITING if waiting else "",
        )
        self._amc = Figure(session, height=0)
        self._amc_part = pn.Column(
            muted(
                "Modules of the composed start: kNN proxy errors as they are encoded, then the weights of AMC."
            ),
            self._amc,
            sizing_mode="stretch_width",
            margin=0,
            visible=False,
        )
        self._reset(About())
        self._view = pn.Column(
            self._facts, self._amc_part, self._curves, sizing_mode="stretch_width", margin=0
        )

    def begin(self, about: About) -> None:
        """Empty the part for a run."""
        self._reset(about)
        self._bars = None
        self._amc_part.visible = bool(about.modules)
        self._amc.clear()
        if about.modules:
            self._amc.show(self._draw_bars)
        self._curves.show(self._draw_curves)

    def clear(self) -> None:
        """Show that there is no run."""
        self._reset(About())
        self._live = self._bars = None
        self._amc_part.visible = False
        self._curves.clear("")

    def _reset(self, about: About) -> None:
        self._progress, self._about = FitProgress(), about
        self._facts.reset(())
        self._show_facts()

    def _show_facts(self) -> None:
        self._facts.show(self._progress.facts(self._about.unit, classes=self._about.classes))

    def events(self, events: list[Event]) -> None:
        """Take what the run says."""
        self._progress.take(events)
        self._show_facts()
        kinds = {type(event) for event in events}
        if self._live is not None and EpochEnded in kinds:
            self._live.send(self._progress.epochs)
        if self._bars is not None and kinds & {ModuleEncoded, WeightsSolved}:
            self._bars.send(self._encoded())

    def finish(self, fit: FitReport) -> None:
        """Show the curves of a run that has finished, if its events are not on this machine."""
        from moma_app.plots import learning_curves

        if not self._progress.epochs and fit.curve is not None and fit.curve.epoch:
            self._live = None
            self._curves.show(lambda mode: learning_curves([fit], mode=mode))

    def _draw_curves(self, mode: Mode) -> Any:
        from moma_app.plots.live import live_curves

        about = self._about
        self._live = live_curves(epochs=about.epochs, unit=about.unit, classes=about.classes, mode=mode)
        self._live.send(self._progress.epochs)
        return self._live.figure

    def _draw_bars(self, mode: Mode) -> Any:
        from moma_app.plots.live import live_bars

        self._bars = live_bars(self._about.modules, unit=self._about.unit, top=TOP, mode=mode)
        self._bars.send(self._encoded())
        return self._bars.figure

    def _encoded(self) -> Encoded:
        from moma_app.plots.live import Encoded

        errors = {name: event.proxy_mae for name, event in self._progress.modules.items()}
        return Encoded(errors, self._progress.weights or None)

    def __panel__(self) -> Viewable:
        return self._view
