"""Make a task of the user's own files, with a report on every row that cannot be used."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moma_app.config import get_settings
from moma_app.errors import InputError
from moma_app.progress import Listener, Step, Warned, silent
from moma_app.structures import VACUUM, Crystal, StructureSet
from moma_app.tasks import store
from moma_app.tasks.ase_files import database_rows, extxyz_rows, is_ase_json
from moma_app.tasks.catalogue import catalogue
from moma_app.tasks.data import TaskData, target_summary
from moma_app.tasks.parsing import StructureError, parse_structure
from moma_app.tasks.rawrows import RawRow
from moma_app.tasks.report import ImportRefusedError, ImportReport, Refusal
from moma_app.tasks.specs import Kind, TaskSpec, is_safe_name
from moma_app.tasks.tables import folder_rows, read_records, table_rows
from moma_app.tasks.task import Task, task_file
from moma_app.tasks.transforms import Transform, get_transform
from moma_app.tasks.validation import CUTOFF, TargetError, check_structure, read_label, read_target

_TABLES = {".csv", ".json", ".jsonl", ".parquet"}
_FORMATS = "CSV, JSON, JSON lines, Parquet, extxyz (.xyz, .extxyz), an ASE database (.db, .json) or a folder"


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
    root: str | Path | None = None,
    strict: bool = False,
    overwrite: bool = False,
    progress: Listener = silent,
) -> ImportReport:
    """Read a user's file or folder and write it to the cache as a task.

    Everything is parsed as data: no file can run code. Nothing is written unless the call
    succeeds.

    Args:
        path: a CSV, JSON, JSON-lines or Parquet table with a column of structures (CIF text,
            POSCAR text, pymatgen JSON; told apart row by row) or of paths; a folder of CIF or
            POSCAR files with ``id_prop.csv``; an extxyz file; or an ASE database.
        target: column or key of the target; for a folder, the property's name.
        unit: unit of the target in the file, before the transform.
        name: the task's name; by default made of the file's name.
        transform: name of a transform to apply to the target.
        kind: ``classification`` takes whole numbers from 0 or labels as targets.
        extensive: the target grows with the number of atoms.
        structure: column of structures or paths, if its name does not tell.
        id_column: column or key of ids, if its name does not tell.
        root: folder in which files named by a path column must lie (default: the table's).
        strict: refuse the file if one row is refused.
        overwrite: replace an imported task of the same name.
        progress: told of rows checked, and with ``Warned`` of rows refused.

    Returns:
        What was read, refused (with row and reason) and written.

    Raises:
        ImportRefusedError: every row is refused, or one is and ``strict`` is set; has the report.
        UnknownNameError: a column or transform is not there; the message lists what is.
        InputError: the name is taken or not usable, or the file is not readable.
    """
    source = Path(path).expanduser()
    if not source.exists():
        raise InputError(f"There is no file or folder {source}.")
    function = get_transform(transform)
    if kind == "classification" and transform is not None:
        raise InputError(f"Classes take no transform: leave out {transform}.")
    task_name = _task_name(source, name)
    destination = task_file(get_settings().cache_folder, task_name)
    if destination.exists() and not overwrite:
        raise InputError(
            f"There is a task {task_name} already ({destination}): choose another name, or overwrite it."
        )
    raw = list(_read(source, target, structure, id_column, Path(root) if root is not None else None))
    checked = _check_rows(raw, source, None if kind == "classification" else function, progress)
    for refusal in checked.refused:
        progress(Warned(message=str(refusal)))
    report = ImportReport(
        name=task_name,
        task=None,
        n_read=len(raw),
        refused=checked.refused,
        notes=_notes(checked, source),
        target_summary={"n": len(checked.accepted)},
        unit=function.unit_of(unit),
    )
    _refuse_file(report, source, strict=strict)
    spec = TaskSpec(
        name=task_name,
        role="user",
        property=target,
        unit=report.unit,
        transform=transform,
        extensive=extensive,
    )
    if kind == "classification":
        spec, targets = _as_classes(spec, [row.label for row in checked.accepted])
    else:
        targets = np.array([row.target for row in checked.accepted], dtype=np.float64)
    data = TaskData(
        spec=spec,
        ids=[row.id for row in checked.accepted],
        rows=np.array([row.number - 1 for row in checked.accepted], dtype=np.int32),
        structures=StructureSet.from_any([row.crystal for row in checked.accepted]),
        targets=targets,
        forces=_forces(checked.accepted, target, transform),
        metadata={"origin": f"imported from {source.name}, target {target}"},
    )
    store.write_task(destination, data)
    return replace(
        report,
        task=Task(spec),
        target_summary=target_summary(targets, spec),
        unit=spec.unit,
        path=str(destination),
    )


def _task_name(source: Path, name: str | None) -> str:
    """Return a name for the task that is safe as part of a file's name and not the catalogue's."""
    chosen = name if name is not None else re.sub(r"[^A-Za-z0-9_-]+", "_", source.stem).strip("_-")
    if not is_safe_name(chosen):
        raise InputError(
            f"{chosen!r} cannot be a task's name: use up to 100 letters, digits, _ and -, a letter or digit first."
        )
    if chosen in catalogue():
        raise InputError(
            f"{chosen} is the name of a task of the catalogue: choose another name for your own."
        )
    return chosen


def _read(
    source: Path, target: str, structure: str | None, id_column: str | None, root: Path | None
) -> Iterator[RawRow]:
    ending = source.suffix.lower()
    if source.is_dir():
        return folder_rows(source)
    if ending in {".xyz", ".extxyz"}:
        return extxyz_rows(source, target=target, id_column=id_column)
    if ending == ".db" or (ending == ".json" and is_ase_json(source)):
        return database_rows(source, target=target, id_column=id_column)
    if ending in _TABLES:
        records = read_records(source)
        return table_rows(source, records, target=target, structure=structure, id_column=id_column, root=root)
    raise InputError(f"{source} has an ending that is not known: {_FORMATS} is expected.")


@dataclass(frozen=True, eq=False)
class _Row:
    """An accepted row; ``label`` is set for classes, ``target`` for numbers."""

    number: int
    id: str
    crystal: Crystal
    target: float
    label: str
    forces: NDArray[np.float64] | None


@dataclass(eq=False)
class _Checked:
    accepted: list[_Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    molecules: int = 0
    nameless: int = 0
    warnings: Counter[str] = field(default_factory=Counter)


def _check_rows(raw: list[RawRow], source: Path, transform: Transform | None, progress: Listener) -> _Checked:
    """Check every row; ``transform`` is None for classes."""
    checked = _Checked()
    first_rows: dict[str, int] = {}
    for done, row in enumerate(raw):
        if done % 50 == 0:
            progress(Step(what="checking rows", done=done, total=len(raw), fraction=done / len(raw)))
        name = row.id or f"{source.stem}-{row.number}"
        checked.nameless += row.id is None
        if name in first_rows:
            message = f"duplicate id, first in row {first_rows[name]}"
            checked.refused.append(Refusal(row.number, name, message, "duplicate id"))
            continue
        first_rows[name] = row.number
        try:
            _accept(row, name, transform, checked)
        except (StructureError, TargetError) as exc:
            checked.refused.append(Refusal(row.number, name, str(exc), exc.code))
    progress(Step(what="checking rows", done=len(raw), total=len(raw), fraction=1.0))
    return checked


def _accept(row: RawRow, name: str, transform: Transform | None, checked: _Checked) -> None:
    if row.problem is not None:
        raise row.problem
    label, target = "", math.nan
    if transform is None:
        label = read_label(row.target)
    else:
        target = read_target(row.target, transform)
    parsed = row.parsed if row.parsed is not None else parse_structure(row.content)
    check_structure(parsed.crystal, cutoff=CUTOFF)
    checked.molecules += parsed.molecule
    checked.warnings.update(set(parsed.warnings))
    checked.accepted.append(_Row(row.number, name, parsed.crystal, target, label, row.forces))


def _notes(checked: _Checked, source: Path) -> list[str]:
    notes = []
    if checked.molecules:
        notes.append(
            f"{checked.molecules} molecules without a lattice were put in a box with {VACUUM:g} Å of vacuum on each side"
        )
    if checked.nameless:
        notes.append(f"{checked.nameless} rows have no id and are called {source.stem}-ROW")
    for message, count in checked.warnings.most_common(5):
        notes.append(f"{count} structures: {message}")
    return notes


def _refuse_file(report: ImportReport, source: Path, *, strict: bool) -> None:
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
    values = {
        **dict(spec),
        "kind": "classification",
        "n_classes": n_classes,
        "classes": names,
        "unit": "class",
    }
    return TaskSpec(**values), np.array(indices, dtype=np.float64)


def _forces(rows: list[_Row], target: str, transform: str | None) -> NDArray[np.float64] | None:
    """Return the forces [n_atoms_total, 3] if the target is an energy and all rows have some."""
    if "energy" not in target.lower() or transform is not None:
        return None
    given = [row.forces for row in rows if row.forces is not None]
    return np.concatenate(given) if len(given) == len(rows) else None
