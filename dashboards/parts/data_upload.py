"""Bringing a dataset: drop a file, say which column is what, check it, add it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import Severity, alert, literal, muted, row
from dashboards.components.run_panel import RunPanel
from dashboards.components.table import Table
from dashboards.session import Session
from dashboards.uploads import DropBox, Upload

if TYPE_CHECKING:
    from moma_app.jobs.spec import RunSpec
    from moma_app.tasks.inspecting import Inspection

SUFFIXES = (".csv", ".xlsx", ".json", ".jsonl", ".parquet", ".zip", ".xyz", ".extxyz", ".db")
NONE = "(none)"
AUTOMATIC = "(by its name)"
NO_TRANSFORM = "none"


class UploadPart(Viewer):
    """A drop box, the form of a dataset, and the report of its rows.

    Args:
        session: of the page.
        on_added: is called with the name of a task that was added.
    """

    def __init__(self, session: Session, on_added: Callable[[str], None]) -> None:
        super().__init__()
        self._session, self._on_added = session, on_added
        self._file: Upload | None = None
        self._checked: tuple[Any, ...] | None = None
        self._drop = DropBox(
            session,
            self._given,
            label="Drop a table with structures and values (CSV, Excel, JSON, Parquet), a zip of CIF files with id_prop.csv, "
            "extxyz, or an ASE database",
            suffixes=SUFFIXES,
        )
        small = {"size": "small", "sizing_mode": "stretch_width"}
        self._name = pmui.TextInput(label="Name of the dataset", **small)
        self._target = pmui.Select(label="Target", options=[], searchable=True, **small)
        self._unit = pmui.TextInput(label="Unit of the values, such as eV/atom", **small)
        self._transform = pmui.Select(label="Transform", options=[NO_TRANSFORM], value=NO_TRANSFORM, **small)
        self._structure = pmui.Select(label="Structures", options=[AUTOMATIC], value=AUTOMATIC, **small)
        self._id = pmui.Select(label="Ids", options=[AUTOMATIC], value=AUTOMATIC, **small)
        self._split = pmui.Select(label="Split", options=[NONE], value=NONE, **small)
        self._classes = pmui.Checkbox(label="The target is a class", margin=(4, 10))
        self._overwrite = pmui.Checkbox(label="Replace my dataset of this name", margin=(4, 10))
        self._check = pmui.Button(label="Check", icon="fact_check", variant="outlined", margin=(8, 10))
        self._add = pmui.Button(
            label="Add to my datasets", icon="add", color="primary", margin=(8, 10), disabled=True
        )
        self._check.on_click(session.guard(lambda _: self._start(dry_run=True)))
        self._add.on_click(session.guard(lambda _: self._start(dry_run=False)))
        self._run = RunPanel(session, on_finished=self._reported, what="Check")
        self._about = muted("")
        self._report = pn.Column(sizing_mode="stretch_width", margin=0)
        self._form = pn.Column(
            self._about,
            pn.Row(self._name, self._target, margin=0, sizing_mode="stretch_width"),
            pn.Row(self._unit, self._transform, margin=0, sizing_mode="stretch_width"),
            pn.Row(self._structure, self._id, self._split, margin=0, sizing_mode="stretch_width"),
            row(self._classes, self._overwrite),
            row(self._check, self._add),
            self._run,
            self._report,
            sizing_mode="stretch_width",
            margin=0,
            visible=False,
        )
        self._view = pn.Column(self._drop, self._form, sizing_mode="stretch_width", margin=0)

    def _given(self, files: list[Upload]) -> None:
        file = files[0]

        def look() -> tuple[Upload, Inspection]:
            from moma_app.tasks.inspecting import inspect_file

            return file, inspect_file(file.path, file_name=file.name)

        self._session.background(look, self._ask)

    def _ask(self, found: tuple[Upload, Inspection]) -> None:
        """Fill the form with what the file's columns tell."""
        from moma_app.tasks.transforms import TRANSFORMS

        self._file, inspection = found
        rows = "" if inspection.n_rows is None else f", {inspection.n_rows:,} rows"
        self._about.object = literal(
            f"{self._file.name}: {_FORMS[inspection.form]}{rows}. Say what is what, then check it: nothing is added before."
        )
        targets = list(inspection.targets) or inspection.columns
        self._name.value = suggested_name(self._file.name)
        self._target.param.update(options=targets, value=targets[0] if targets else None)
        self._transform.options = [NO_TRANSFORM, *filter(None, TRANSFORMS)]
        for widget, extra, own in (
            (self._structure, AUTOMATIC, inspection.structure),
            (self._id, AUTOMATIC, inspection.id),
            (self._split, NONE, inspection.split),
        ):
            widget.param.update(options=[extra, *inspection.columns], value=own or extra)
        self._run.clear()
        self._report.objects = []
        self._add.disabled = True
        self._form.visible = True

    def _start(self, *, dry_run: bool) -> None:
        if self._file is None:
            return
        file, chosen = self._file, self._chosen()

        def make() -> RunSpec:
            from moma_app.work.import_file import import_spec

            return import_spec(file.path, file_name=file.name, dry_run=dry_run, **chosen)

        self._report.objects = []
        self._run.start(make)

    def _chosen(self) -> dict[str, Any]:
        def column(widget: Any) -> str | None:
            return None if widget.value in (AUTOMATIC, NONE) else widget.value

        return {
            "name": self._name.value.strip(),
            "target": self._target.value or "",
            "unit": self._unit.value.strip(),
            "transform": None if self._transform.value == NO_TRANSFORM else self._transform.value,
            "classes": self._classes.value,
            "structure": column(self._structure),
            "id_column": column(self._id),
            "split_column": column(self._split),
            "overwrite": self._overwrite.value,
        }

    def _reported(self, result: dict[str, Any]) -> None:
        report = result["report"]
        self._report.objects = report_view(self._session, report)
        self._add.disabled = not report["n_accepted"] or report["written"]
        if report["written"]:
            self._on_added(report["name"])

    def __panel__(self) -> Viewable:
        return self._view


def report_view(session: Session, report: dict[str, Any]) -> list[Viewable]:
    """Return what an import found: rows taken, rows refused with line and reason, notes."""
    whole = report["n_accepted"] == report["n_read"]
    kind: Severity = "success" if whole else "warning" if report["n_accepted"] else "error"
    done = "added" if report["written"] else "can be taken; nothing is written yet"
    if not report["n_accepted"]:
        done = "can be taken"
    parts: list[Viewable] = [
        alert(kind, f"{report['n_accepted']:,} of {report['n_read']:,} rows {done}.", margin=10),
        *(muted(note) for note in report["notes"]),
    ]
    if report["refused"]:
        table = Table(session, ["Row", "Line", "Id", "What is wrong"], page_size=10)
        table.show(
            [
                {"Row": each["row"], "Line": each["line"], "Id": each["id"], "What is wrong": each["reason"]}
                for each in report["refused"]
            ]
        )
        parts.append(table)
    return parts


def suggested_name(file_name: str) -> str:
    """Return a name for a dataset, made of a file's name."""
    stem = file_name.rsplit(".", 1)[0]
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem).strip("_-")
    return kept[:60] or "my_dataset"


_FORMS = {
    "table": "a table",
    "list": "structure files with id_prop.csv",
    "frames": "frames of an extxyz file",
    "database": "an ASE database",
}
