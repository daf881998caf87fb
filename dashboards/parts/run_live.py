"""The learning curve of one run: it grows while the run works, and stays when it has finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.parts.run_curves import RunCurve, drawing, is_classification
from dashboards.parts.run_words import unit_of_task
from dashboards.session import Mode, Session
from moma_app.progress import EpochEnded, Event

if TYPE_CHECKING:
    from moma_app.plots.live import Live


class RunCurveFigure(Viewer):
    """Takes no place before there is a curve: most runs have none."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._figure = Figure(session, height=0)
        self._epochs: list[EpochEnded] = []
        self._task = ""
        self._live: Live[Sequence[EpochEnded]] | None = None
        self._over = False

    def take(self, events: Sequence[Event], task: str) -> None:
        """Take what a run on a task says."""
        new = [event for event in events if isinstance(event, EpochEnded)]
        if self._over or not new:
            return
        self._epochs += new
        self._task = task
        if self._live is None:
            self._figure.show(self._draw)
        else:
            self._live.send(self._epochs)

    def finish(self, curve: RunCurve | None) -> None:
        """Show the curve of a finished run, once."""
        if curve is None or self._over:
            return
        self._over, self._live = True, None
        self._figure.show(drawing([curve]))

    def _draw(self, mode: Mode) -> Any:
        from moma_app.plots.live import live_curves

        self._live = live_curves(
            epochs=self._epochs[-1].epochs,
            unit=unit_of_task(self._task),
            classes=is_classification(self._task),
            mode=mode,
        )
        self._live.send(self._epochs)
        return self._live.figure

    def __panel__(self) -> Viewable:
        return self._figure.__panel__()
