"""Rows that were read become a task: checked, reported, written."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from moma_app.config import get_settings
from moma_app.errors import DamagedFileError, InputError
from moma_app.progress import Listener, Warned
from moma_app.structures import StructureSet
from moma_app.tasks import store
from moma_app.tasks.catalogue import catalogue
from moma_app.tasks.checking import AcceptedRow, check_rows
from moma_app.tasks.data import TaskData, target_summary
from moma_app.tasks.dividing import Parts
from moma_app.tasks.own_splits import SEEDS, given_parts, write_splits
from moma_app.tasks.rawrows import RawRow
from moma_app.tasks.report import ImportRefusedError, ImportReport
from moma_app.tasks.specs import Kind, TaskSpec, is_safe_name
from moma_app.tasks.task import Task, split_file, task_file
from moma_app.tasks.transforms import Transform, get_transform


@dataclass(frozen=True)
class Making:
    """How rows become a task.

    Attributes:
        spec: what the task is.
        kind: of its targets.
        function: the transform of the targets.
        stem: beginning of the ids of rows that have none.
        source: where the rows come from, for messages.
        origin: the same, as it is stored.
        strict: refuse all rows if one is refused.
        overwrite: replace a task of the same name.
        dry_run: only report.
        repeatable: the very same rows may come again.
        folder: the data folder that is written to.
    """

    spec: TaskSpec
    kind: Kind
    function: Transform
    stem: str
    source: str
    origin: str
    strict: bool
    overwrite: bool
    dry_run: bool
    repeatable: bool
    folder: Path

    @classmethod
    def of(
        cls,
        *,
        name: str,
        property: str,  # noqa: A002 - what materials scientists call it
        unit: str,
        transform: str | None,
        kind: Kind,
        extensive: bool,
        stem: str,
        source: str,
        origin: str,
        strict: bool,
        overwrite: bool,
        dry_run: bool,
        repeatable: bool = False,
    ) -> Self:
        """Check what can be checked before any row is read.

        Raises:
            UnknownNameError: there is no such transform.
            InputError: the name is taken or not usable, or classes are to be transformed.
        """
        function = get_transform(transform)
        if kind == "classification" and transform is not None:
            raise InputError(f"Classes take no transform: leave out {transform}.")
        _check_name(name)
        spec = TaskSpec(
            name=name,
            role="user",
            property=property,
            unit=function.unit_of(unit),
            transform=transform,
            extensive=extensive,
        )
        folder = get_settings().cache_folder
        if not (overwrite or repeatable):
            _refuse_taken(task_file(folder, name), name)
        return cls(spec, kind, function, stem, source, origin, strict, overwrite, dry_run, repeatable, folder)


def make_task(making: Making, raw: list[RawRow], *, parted: bool, progress: Listener) -> ImportReport:
    """Check rows, and write those that can be used as a task.

    Args:
        making: how.
        raw: the rows as they were read.
        parted: each row says whether it is for training, validation or test.
        progress: told of rows checked, and with ``Warned`` of rows refused.

    Raises:
        ImportRefusedError: no row can be used, or one cannot and that is the end; has the report.
        InputError: the rows' split has an empty part, or the name is taken by other rows.
    """
    spec, kind = making.spec, making.kind
    checked = check_rows(raw, making.stem, None if kind == "classification" else making.function, progress)
    for refusal in checked.refused:
        progress(Warned(message=str(refusal)))
    report = ImportReport(
        name=spec.name,
        task=None,
        n_read=len(raw),
        refused=checked.refused,
        notes=checked.notes(making.stem),
        target_summary={"n": len(checked.accepted)},
        unit=spec.unit,
    )
    if making.dry_run and not checked.accepted:
        return report
    if not making.dry_run:
        _refuse_file(report, making.source, strict=making.strict)
    data = _data(spec, kind, checked.accepted, making.origin)
    split = given_parts(data, [row.part or "" for row in checked.accepted]) if parted else None
    report = replace(
        report,
        notes=[*report.notes, *_split_note(split)],
        target_summary=target_summary(data.targets, data.spec),
        unit=data.spec.unit,
        data=data,
    )
    if making.dry_run:
        return report
    path = task_file(making.folder, spec.name)
    if making.repeatable and not making.overwrite and path.exists():
        if not _holds(path, data):
            _refuse_taken(path, spec.name)
        if split is None:  # a split that the user has set since stays
            return replace(report, task=Task(data.spec), path=str(path))
    return replace(report, **_write(data, split, making.folder))


def _check_name(name: str) -> None:
    """Raise unless ``name`` is safe as part of a file's name and not the catalogue's."""
    if not is_safe_name(name):
        raise InputError(
            f"{name!r} cannot be a task's name: use up to 100 letters, digits, _ and -, a letter or digit first."
        )
    if name in catalogue():
        raise InputError(f"{name} is the name of a task of the catalogue: choose another name for your own.")


def _refuse_taken(destination: Path, name: str) -> None:
    if destination.exists():
        raise InputError(
            f"There is a task {name} already ({destination}): choose another name, or overwrite it."
        )


def _holds(path: Path, data: TaskData) -> bool:
    """Return whether a task file holds these very rows."""
    try:
        stored = store.read_task(path)
    except DamagedFileError:
        return False
    coords = data.structures.frac_coords.astype(np.float32).astype(np.float64)  # as they are stored
    rounded = replace(data, structures=replace(data.structures, frac_coords=coords))
    return (
        stored.spec.to_metadata() == data.spec.to_metadata()
        and stored.content_hash() == rounded.content_hash()
    )


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
