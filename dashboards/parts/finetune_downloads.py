"""What one can take away from a finished run: the predictor as a zip file, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboards.components.download import download, small_enough, zipped
from dashboards.services import artefact
from dashboards.session import Session
from moma_app.work.finetune import PREDICTOR

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport

REPORT = "report.html"


def download_buttons(session: Session, run_id: str, fit: FitReport) -> list[Any]:
    """Return a button for each file; what it gives is fetched when it is pressed."""
    name = file_name(fit)

    def predictor() -> bytes:
        folder = artefact(run_id, PREDICTOR)
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        size = sum(path.stat().st_size for path in files.values())
        small_enough(size, f"use `moma runs fetch {run_id[:8]} FOLDER`")
        return zipped({f"{name}/{place}": path for place, path in sorted(files.items())})

    def report() -> bytes:
        return artefact(run_id, REPORT).read_bytes()

    return [
        download(session, "Predictor (zip)", f"{name}.zip", predictor),
        download(session, "Report (HTML)", f"{name}.html", report),
    ]


def file_name(fit: FitReport) -> str:
    """Return a name that tells the predictors of a task apart."""
    shots = f"-{fit.shots}shots" if fit.shots else ""
    return f"{fit.task}-{fit.start}-split{fit.split}{shots}-seed{fit.seed}"
