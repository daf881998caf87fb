"""The end of a run's log as text for people."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import fold, literal
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.errors import DataNotFoundError

LINES = 200
_STYLE = """
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 12px/1.45 ui-monospace, monospace; }
:host { max-height: 420px; overflow-y: auto; color: inherit; }
"""


class LogFold(Viewer):
    """A run's log behind a fold; it is read when the fold is opened."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.run_id = ""
        self._session = session
        self._place = pn.Column(sizing_mode="stretch_width", margin=0, min_height=60)
        self._fold = fold("Log", self._place)
        self._fold.param.watch(session.guard(lambda _: self.refresh()), "collapsed")

    def refresh(self) -> None:
        """Read the log again, if the fold is open."""
        if self._fold.collapsed or not self.run_id:
            return
        run_id = self.run_id

        def show(text: str) -> None:
            self._place.objects = [log_pane(text)]

        self._session.background(lambda: log_text(run_id), show)

    def __panel__(self) -> Viewable:
        return self._fold


def log_pane(text: str) -> Viewable:
    """Return a log's text in a box that scrolls."""
    return pn.pane.HTML(
        f"<pre tabindex='0'>{literal(text)}</pre>",
        stylesheets=[_STYLE],
        sizing_mode="stretch_width",
        margin=(4, 10),
    )


def log_text(run_id: str, lines: int = LINES) -> str:
    """Return the last lines of a run's log: from its folder, or from the tracking store once it has ended."""
    from moma_app.jobs.logs import LOG, tail

    jobs = get_jobs()
    path = jobs.folder(run_id) / LOG
    with tempfile.TemporaryDirectory() as scratch:
        if not path.is_file():
            try:
                path = jobs.store.fetch(run_id, LOG, Path(scratch))
            except DataNotFoundError:
                return "This run has not written a log yet, or its log is on another machine."
        return readable(tail(path, lines))


def readable(lines: Iterable[str]) -> str:
    """Return JSON lines of a log as time, level and message, with tracebacks; other lines as they are."""
    return "\n".join(_line(line) for line in lines)


def _line(line: str) -> str:
    try:
        entry = json.loads(line)
        text = f"{entry['time'][:19].replace('T', ' ')}  {entry['level']:7}  {entry['message']}"
    except (ValueError, KeyError, TypeError):
        return line  # cut at the beginning, or written by something else
    return f"{text}\n{entry['traceback']}" if "traceback" in entry else text
