"""What a notebook shows of tasks, their rows and imports. Nothing is downloaded, and no structure is read."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moma_app.display import bar, beside, code, columns, facts, note, rows_table, show
from moma_app.errors import MomaError
from moma_app.formulas import reduced_formula
from moma_app.markup import Child, Markup, fold
from moma_app.tasks import embedded, store
from moma_app.text import column, number, one_line, with_unit, with_unit_after

if TYPE_CHECKING:
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.report import ImportReport
    from moma_app.tasks.specs import TaskSpec
    from moma_app.tasks.task import Task

BINS = 30
FEW_CLASSES = 8
"""Classes that are shown by name."""
SHOWN = 5
"""Rows of a task that are shown as examples."""
MOST_REFUSED = 10


def task_html(task: Task) -> str:
    """Show a task: what it is and, if its data is on this machine, its rows, split and targets."""
    path = task.path
    targets: NDArray[np.float64] | None = None
    spec, trouble, split = task.spec, "", ""
    try:
        if path is not None:
            spec, targets = store.read_spec(path), store.read_targets(path)
        elif task.name == embedded.NAME:
            targets = task.load().targets
        if targets is not None:
            parts = task.split(0)
            sizes = f"{len(parts.train):,} / {len(parts.val):,} / {len(parts.test):,}"
            split = f"{sizes} ({parts.origin}, seed 0)"
    except MomaError as exc:
        trouble = str(exc)
    rows = "" if targets is None else f"{len(targets):,}"
    if spec.published_rows and targets is not None and spec.published_rows != len(targets):
        rows += f" of {spec.published_rows:,} published"
    return show(
        "Task",
        task.name,
        _about(spec),
        facts(
            ("role", spec.role),
            ("kind", _kind(spec)),
            ("unit", _unit(spec)),
            ("transform", spec.transform or ""),
            ("rows", rows),
            ("train / validation / test", split),
        ),
        "" if targets is None else histogram(targets, spec),
        note(trouble, class_="bad") if trouble else "",
        _how_to_get(spec) if targets is None and not trouble else "",
        note(spec.note) if spec.note else "",
        note("Source: ", spec.citation) if spec.citation else "",
    )


def data_html(data: TaskData) -> str:
    """Show the rows of a task: how many, their targets, the first ones."""
    atoms = data.structures.n_atoms
    return show(
        "TaskData",
        data.spec.name,
        _about(data.spec),
        facts(
            ("rows", f"{len(data):,}"),
            ("unit", _unit(data.spec)),
            ("atoms per cell", _range(atoms)),
            ("elements", str(len(np.unique(data.structures.numbers))) if len(atoms) else ""),
            ("from", str(data.metadata.get("origin", ""))),
        ),
        beside(histogram(data.targets, data.spec), first_rows(data)),
    )


def first_rows(data: TaskData) -> Markup:
    """Return the first rows as a table."""
    targets = [float(value) for value in data.targets[:SHOWN]]
    shown = (
        [_class_name(data.spec, int(value)) for value in targets]
        if data.spec.kind == "classification"
        else column(targets)
    )
    rows = [
        (data.ids[i], reduced_formula(crystal.numbers.tolist()), str(len(crystal)), shown[i])
        for i, crystal in enumerate(islice(data.structures, SHOWN))
    ]
    return rows_table(
        ("id", "formula", "atoms", with_unit("target", _unit(data.spec))),
        rows,
        numbers=(2, 3),
        total=len(data),
    )


def histogram(targets: NDArray[np.float64], spec: TaskSpec) -> Markup:
    """Return the distribution of the targets as a small drawing."""
    if not len(targets):
        return Markup()
    if spec.kind == "classification":
        counts = np.bincount(targets.astype(np.int64), minlength=spec.n_classes or 1)
        most = int(counts.argmax())
        if len(counts) <= FEW_CLASSES:
            rows = [
                (_class_name(spec, index), f"{rows:,}", bar(rows / int(counts[most])))
                for index, rows in enumerate(counts.tolist())
            ]
            return rows_table(("class", "rows", ""), rows, numbers=(1,))
        said = f"most in {_class_name(spec, most)} ({int(counts[most]):,})"
        return columns(counts.tolist(), label=f"rows of {len(counts)} classes, {said}")
    low, high = float(targets.min()), float(targets.max())
    if low == high:
        return note(f"All targets are {with_unit_after(low, spec.unit)}.")
    bins = min(BINS, max(5, round(2 * len(targets) ** 0.5)))
    counts, _ = np.histogram(targets, bins=bins)
    label = f"{number(low)} to {with_unit_after(high, spec.unit)}, median {number(float(np.median(targets)))}"
    return columns(counts.tolist(), label=label)


def import_html(report: ImportReport) -> str:
    """Show what an import took, refused and noticed."""
    refused = rows_table(
        ("row", "id", "why it was refused"),
        [(str(bad.row), bad.id, bad.reason) for bad in report.refused[:MOST_REFUSED]],
        numbers=(0,),
        total=len(report.refused),
        what="refused row",
    )
    taken: Child = ""
    if report.data is not None:
        rows = fold("the first rows", first_rows(report.data))
        taken = beside(histogram(report.data.targets, report.data.spec), rows)
    return show(
        "ImportReport",
        report.name,
        "" if report.task is not None else "nothing was written",
        facts(
            ("rows read", f"{report.n_read:,}"),
            ("taken", f"{report.n_accepted:,}"),
            ("refused", f"{len(report.refused):,}" if report.refused else "none"),
            ("unit", report.unit),
            ("written to", report.path or ""),
        ),
        taken,
        refused,
        *(note(one_line(text, 400)) for text in report.notes),
    )


def _range(counts: NDArray[np.int64]) -> str:
    if not len(counts):
        return ""
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _about(spec: TaskSpec) -> str:
    return with_unit(spec.property, _unit(spec))


def _unit(spec: TaskSpec) -> str:
    return "" if spec.kind == "classification" else spec.unit


def _kind(spec: TaskSpec) -> str:
    if spec.kind == "classification":
        return f"classification, {spec.n_classes} classes"
    return "regression, grows with the number of atoms" if spec.extensive else "regression"


def _class_name(spec: TaskSpec, index: int) -> str:
    return spec.classes[index] if index < len(spec.classes) else f"class {index}"


def _how_to_get(spec: TaskSpec) -> Markup:
    if spec.source is not None and spec.source.provider != "files":
        return note("Its data is not on this machine: ", code(f"moma tasks fetch {spec.name}"), " gets it.")
    return note(
        "Its data is not on this machine, in no folder of ", code("MOMA_DATA"), " and not in the cache."
    )
