"""What a run has left behind, to download."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.download import download, small_enough, zipped
from dashboards.components.layout import empty, literal, muted
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.plots.text import count

SHOWN = 24
"""Artefacts that get a button; the others are for the command."""
_MEANING = {
    "composition.json": "Weights and proxy errors of all modules",
    "events.jsonl": "Progress events",
    "log.jsonl": "Log",
    "module": "Module, for a hub",
    "neighbours.safetensors": "Neighbours, for other K and T",
    "predictor": "Predictor, for the Predict page or moma predict",
    "report.html": "One-page report",
    "result.json": "Result, with test predictions",
    "spec.json": "What was asked for",
}


@dataclass(frozen=True)
class Artefact:
    """A file or folder at the top of a run's artefacts.

    Attributes:
        name: its name.
        n_files: files in it, if it is a folder; else 0.
    """

    name: str
    n_files: int

    @property
    def filename(self) -> str:
        """What a download of it is called."""
        return f"{self.name}.zip" if self.n_files else self.name

    @property
    def meaning(self) -> str:
        """What it is, in words."""
        said = _MEANING.get(self.name, "")
        files = count(self.n_files, "file") if self.n_files else ""
        return ", ".join(part for part in (said, files) if part)


def grouped(names: Iterable[str]) -> list[Artefact]:
    """Return the files and folders at the top, with what a run is for first."""
    counts = Counter(name.partition("/")[0] for name in names if "/" in name)
    files = [Artefact(name, 0) for name in names if "/" not in name]
    order = list(_MEANING)
    wanted = ["predictor", "module", "report.html", "composition.json", "result.json"]
    rank = {name: number for number, name in enumerate([*wanted, *(n for n in order if n not in wanted)])}
    folders = [Artefact(name, number) for name, number in counts.items()]
    return sorted([*folders, *files], key=lambda a: (rank.get(a.name, len(rank)), a.name))


def content_of(run_id: str, artefact: Artefact) -> bytes:
    """Return an artefact as a file to download; a folder as a zip file that holds it.

    Raises:
        DataNotFoundError: the run has no such artefact.
        InputError: it is too large for a page.
    """
    instead = f"moma runs fetch {run_id[:8]} FOLDER --name {artefact.name} copies it"
    with tempfile.TemporaryDirectory() as scratch:
        path = get_jobs().store.fetch(run_id, artefact.name, Path(scratch))
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        small_enough(sum(file.stat().st_size for file in files), instead)
        if path.is_file():
            return path.read_bytes()
        return zipped({str(file.relative_to(path.parent)): file for file in files})


class RunArtefacts(Viewer):
    """A list of a run's artefacts with a button for each."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._shown: tuple[str, list[Artefact]] | None = None
        self._view = pn.Column(sizing_mode="stretch_width", margin=0, min_height=80)

    def show(self, run_id: str, names: Iterable[str]) -> None:
        """Show what a run has kept so far."""
        found = grouped(list(names))
        if self._shown == (run_id, found):
            return
        self._shown = (run_id, found)
        if not found:
            self._view.objects = [empty("Nothing has been kept yet.")]
            return
        parts: list[Viewable] = [self._line(run_id, artefact) for artefact in found[:SHOWN]]
        if len(found) > SHOWN:
            parts.append(
                muted(f"{len(found) - SHOWN} more: moma runs fetch {run_id[:8]} FOLDER copies them all.")
            )
        self._view.objects = parts

    def _line(self, run_id: str, artefact: Artefact) -> Viewable:
        button = download(
            self._session,
            "Download",
            artefact.filename,
            lambda: content_of(run_id, artefact),
            variant="text",
            width=120,
            margin=(0, 8),
            description=f"Download {artefact.filename}",
        )
        words = pmui.Typography(
            f"<b>{literal(artefact.name)}</b> {literal(artefact.meaning)}",
            variant="body2",
            margin=(6, 4),
            sx={"overflowWrap": "anywhere"},
            sizing_mode="stretch_width",
        )
        return pn.Row(button, words, margin=(0, 4), sizing_mode="stretch_width")

    def __panel__(self) -> Viewable:
        return self._view
