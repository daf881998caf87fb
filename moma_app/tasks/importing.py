"""Make a task of the user's own files, with a report on every row that cannot be used."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.config import get_settings
from moma_app.errors import InputError
from moma_app.progress import Listener, Warned, silent
from moma_app.structures import StructureSet
from moma_app.tasks import store
from moma_app.tasks.catalogue import catalogue
from moma_app.tasks.checking import AcceptedRow, check_rows
from moma_app.tasks.data import TaskData, target_summary
from moma_app.tasks.dividing import Parts
from moma_app.tasks.limits import Limits
from moma_app.tasks.own_splits import SEEDS, given_parts, write_splits
from moma_app.tasks.readers import UserFile, read_rows
from moma_app.tasks.report import ImportRefusedError, ImportReport
from moma_app.tasks.specs import Kind, TaskSpec, is_safe_name
from moma_app.tasks.tables import Columns
from moma_app.tasks.task import Task, split_file, task_file
from moma_app.tasks.transforms import get_transform


def import_task(
    path: str | Path,
    *,
    target: str,
    unit: str,
    name: str | None = None,
    transform: str | None = None,
    kind: Kind = "regression",
    extensive: bool = False,
    structure: str | None = None,
    id_column: str | None = None,
    split_column: str | None = None,
    root: str | Path | None = None,
    strict: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    file_name: str | None = None,
    limits: Limits | None = None,
    progress: Listener = silent,
) -> ImportReport:
    """Read a user's file or folder and write it to the cache as a task.

    Everything is parsed as data: no file can run code. Nothing is written unless the call
    succeeds.

    Args:
        path: a CSV, Excel, JSON, JSON-lines or Parquet table with a column of structures (CIF text,
            POSCAR text, pymatgen JSON; told apart row by row) or of paths; a folder of CIF or
            POSCAR files with ``id_prop.csv``; a zip file of such a folder, or of a table with the
            files that it names; an extxyz file; or an ASE database.
        target: column or key of the target; for a folder, the property's name.
        unit: unit of the target in the file, before the transform.
        name: the task's name; by default made of the file's name.
        transform: name of a transform to apply to the target.
        kind: ``classification`` takes whole numbers from 0 or labels as targets.
        extensive: the target grows with the number of atoms.
        structure: column of structures or paths, if its name does not tell.
        id_column: column or key of ids, if its name does not tell.
        split_column: column of a table that says train, val or test for each row: the task's own split.
        root: folder in which files named by a path column must lie (default: the table's).
        strict: refuse the file if one row is refused.
        overwrite: replace an imported task of the same name; its own split goes with it.
        dry_run: only report; nothing is written, and the file is not refused for its rows.
        file_name: what the user calls an uploaded file, where ``path`` has a name of ours. Its table can
            name files only in ``root``, or in the zip file with which it came.
        limits: how much is read at most.
        progress: told of rows checked, and with ``Warned`` of rows refused.

    Returns:
        What was read, refused (with row and reason) and written.

    Raises:
        ImportRefusedError: every row is refused, or one is and ``strict`` is set; has the report.
        UnknownNameError: a column or transform is not there; the message lists what is.
        InputError: the name is taken or not usable, the file is not readable, or its split has an empty part.
    """
    source = Path(path).expanduser()
    if not source.exists():
        raise InputError(f"There is no file or folder {source}.")
    file = UserFile(source, file_name or source.name)
    function = get_transform(transform)
    if kind == "classification" and transform is not None:
        raise InputError(f"Classes take no transform: leave out {transform}.")
    spec = TaskSpec(
        name=_task_name(file, name),
        role="user",
        property=target,
        unit=function.unit_of(unit),
        transform=transform,
        extensive=extensive,
    )
    folder = get_settings().cache_folder
    _refuse_taken(folder, spec.name, overwrite=overwrite)
    columns = Columns(target, structure, id_column, split_column)
    raw = read_rows(file, columns, _root(source, root, file_name), limits or Limits())
    checked = check_rows(raw, file.stem, None if kind == "classification" else function, progress)
    for refusal in checked.refused:
        progress(Warned(message=str(refusal)))
    report = ImportReport(
        name=spec.name,
        task=None,
        n_read=len(raw),
        refused=checked.refused,
        notes=checked.notes(file.stem),
        target_summary={"n": len(checked.accepted)},
        unit=spec.unit,
    )
    if dry_run and not checked.accepted:
        return report
    if not dry_run:
        _refuse_file(report, file.name, strict=strict)
    data = _data(spec, kind, checked.accepted, f"imported from {file.name}, target {target}")
    split = None if split_column is None else given_parts(data, [row.part or "" for row in checked.accepted])
    report = replace(
        report,
        notes=[*report.notes, *_split_note(split)],
        target_summary=target_summary(data.targets, data.spec),
        unit=data.spec.unit,
        data=data,
    )
    return report if dry_run else replace(report, **_write(data, split, folder))


def _root(source: Path, root: str | Path | None, file_name: str | None) -> Path | None:
    """Return the folder of files that a table names; None if it may name none."""
    if root is not None:
        return Path(root)
    return source.parent if file_name is None else None


def _write(data: TaskData, split: Parts | None, folder: Path) -> dict[str, Any]:
    """Write split and task, and return what the report says of it; an older split is not the new rows'."""
    if split is None:
        split_file(folder, data.spec.name).unlink(missing_ok=True)
    else:
        write_splits(folder, data, [split] * SEEDS)
    destination = task_file(folder, data.spec.name)
    store.write_task(destination, data)
    return {"task": Task(data.spec), "path": str(destination)}


def _split_note(split: Parts | None) -> list[str]:
    if split is None:
        return []
    train, val, test = map(len, split)
    return [f"the split is the file's own: {train} train, {val} validation and {test} test rows"]


def _task_name(file: UserFile, name: str | None) -> str:
    """Return a name for the task that is safe as part of a file's name and not the catalogue's."""
    chosen = name if name is not None else re.sub(r"[^A-Za-z0-9_-]+", "_", file.stem).strip("_-")
    if not is_safe_name(chosen):
        raise InputError(
            f"{chosen!r} cannot be a task's name: use up to 100 letters, digits, _ and -, a letter or digit first."
        )
    if chosen in catalogue():
        raise InputError(
            f"{chosen} is the name of a task of the catalogue: choose another name for your own."
        )
    return chosen


def _refuse_taken(folder: Path, name: str, *, overwrite: bool) -> None:
    destination = task_file(folder, name)
    if destination.exists() and not overwrite:
        raise InputError(
            f"There is a task {name} already ({destination}): choose another name, or overwrite it."
        )


def _refuse_file(report: ImportReport, source: str, *, strict: bool) -> None:
    """Raise if no row can be used, or if one cannot and the user wants all or none."""
    if not report.refused or (report.n_accepted and not strict):
        return
    shown = "; ".join(str(refusal) for refusal in report.refused[:3])
    more = f"; and {len(report.refused) - 3} more" if len(report.refused) > 3 else ""
    which = (
        "no row can be used"
        if not report.n_accepted
        else f"{len(report.refused)} of {report.n_read} rows are refused"
    )
    raise ImportRefusedError(f"{source}: {which}, so that nothing was written ({shown}{more}).", report)


def _data(spec: TaskSpec, kind: Kind, rows: list[AcceptedRow], origin: str) -> TaskData:
    """Return accepted rows as a task's data."""
    if kind == "classification":
        spec, targets = _as_classes(spec, [row.label for row in rows])
    else:
        targets = np.array([row.target for row in rows], dtype=np.float64)
    return TaskData(
        spec=spec,
        ids=[row.id for row in rows],
        rows=np.array([row.number - 1 for row in rows], dtype=np.int32),
        structures=StructureSet.from_any([row.crystal for row in rows]),
        targets=targets,
        forces=_forces(rows, spec),
        metadata={"origin": origin},
    )


_MOST_CLASSES = 10_000


def _as_classes(spec: TaskSpec, labels: list[str]) -> tuple[TaskSpec, NDArray[np.float64]]:
    """Turn labels into class indices, float64 [n].

    Whole numbers from 0 are indices as they are; anything else is a name, in sorted order.
    """
    broken = next((label for label in labels if re.fullmatch(r"[-+]?\d*\.\d+(e[-+]?\d+)?", label)), None)
    if broken is not None:
        raise InputError(f"{broken} is no class: a class is a whole number or a word.")
    numbered = all(label.isdecimal() for label in labels)
    names = () if numbered else tuple(sorted(set(labels)))
    indices = [int(label) for label in labels] if numbered else [names.index(label) for label in labels]
    n_classes = max(indices) + 1
    if len(set(indices)) < 2 or n_classes > _MOST_CLASSES:
        raise InputError(
            f"{len(set(indices))} classes with indices up to {n_classes - 1}: 2 to {_MOST_CLASSES} are expected."
        )
    values: dict[str, Any] = {
        **dict(spec),
        "kind": "classification",
        "n_classes": n_classes,
        "classes": names,
        "unit": "class",
    }
    return TaskSpec(**values), np.array(indices, dtype=np.float64)


def _forces(rows: list[AcceptedRow], spec: TaskSpec) -> NDArray[np.float64] | None:
    """Return the forces [n_atoms_total, 3] if the target is an energy and all rows have some."""
    if "energy" not in spec.property.lower() or spec.transform is not None:
        return None
    given = [row.forces for row in rows if row.forces is not None]
    return np.concatenate(given) if len(given) == len(rows) else None
