"""Make a task of objects in memory: structures and a column of numbers, checked as an import is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from moma_app.errors import InputError
from moma_app.progress import Listener, silent
from moma_app.tasks.any_structures import labels_of, parse_any, path_of
from moma_app.tasks.making import Making, make_task
from moma_app.tasks.parsing import StructureError
from moma_app.tasks.rawrows import RawRow
from moma_app.tasks.report import ImportReport
from moma_app.tasks.specs import Kind

ORIGIN = "made in Python"


def import_structures(
    structures: Iterable[Any],
    targets: Iterable[Any],
    *,
    name: str,
    unit: str,
    property: str | None = None,  # noqa: A002 - what materials scientists call it
    ids: Iterable[Any] | None = None,
    parts: Iterable[str] | None = None,
    transform: str | None = None,
    kind: Kind = "regression",
    extensive: bool = False,
    strict: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Listener = silent,
) -> ImportReport:
    """Make a task of structures and targets, and write it to the cache.

    The very same rows may come again, as when a notebook is run a second time: then what is stored stays.

    Args:
        structures: see :func:`moma_app.tasks.any_structures.parse_any`; a pandas Series works too.
        targets: one for each structure, numbers (or classes) in ``unit``, before the transform.
        name: the task's name.
        unit: of the targets.
        property: in words; by default the name.
        ids: of the rows; by default names of files, the index of a Series unless it just counts, or
            ``NAME-ROW``. Each stands once.
        parts: ``train``, ``val`` or ``test`` for each row: the task's own split.
        transform: name of a transform to apply to the targets.
        kind: ``classification`` takes whole numbers from 0 or words as targets.
        extensive: the target grows with the number of atoms.
        strict: refuse all if one row is refused.
        overwrite: replace other rows of a task of that name; its own split goes with them.
        dry_run: only report; nothing is written.
        progress: told of rows checked, and with ``Warned`` of rows refused.

    Returns:
        What was read, refused (with row, from 1, and reason) and written.

    Raises:
        ImportRefusedError: every row is refused, or one is and ``strict`` is set; has the report.
        UnknownNameError: there is no such transform.
        InputError: not as many targets as structures, the name is taken by other rows or not usable.
    """
    making = Making.of(
        name=name,
        property=property or name.replace("_", " "),
        unit=unit,
        transform=transform,
        kind=kind,
        extensive=extensive,
        stem=name,
        source=f"task {name}",
        origin=ORIGIN,
        strict=strict,
        overwrite=overwrite,
        dry_run=dry_run,
        repeatable=True,
    )
    raw = _rows(structures, targets, ids, parts)
    if not raw:
        raise InputError(f"Task {name}: there is no structure to learn from.")
    return make_task(making, raw, parted=parts is not None, progress=progress)


def _rows(
    structures: Iterable[Any], targets: Iterable[Any], ids: Iterable[Any] | None, parts: Iterable[str] | None
) -> list[RawRow]:
    given, values = list(structures), list(targets)
    _refuse_misaligned(structures, targets)
    names = _names(structures, targets, given) if ids is None else [str(each) for each in ids]
    own = [None] * len(given) if parts is None else [str(part) for part in parts]
    for what, found in (("targets", values), ("ids", names), ("parts", own)):
        if len(found) != len(given):
            raise InputError(f"{len(given):,} structures and {len(found):,} {what} do not fit together.")
    return [
        _row(number, *values_of_row)
        for number, values_of_row in enumerate(zip(given, values, names, own, strict=True), start=1)
    ]


def _row(number: int, structure: Any, target: Any, name: str | None, part: str | None) -> RawRow:
    try:
        parsed = parse_any(structure)
    except StructureError as exc:
        return RawRow(number, name, target, problem=exc, part=part)
    return RawRow(number, name, target, parsed=parsed, part=part)


def _names(structures: Any, targets: Any, given: Sequence[Any]) -> Sequence[str | None]:
    """Return ids where the user's objects have some: an index that does not just count, or names of files."""
    for column in (structures, targets):
        if hasattr(column, "iloc") and list(column.index) != list(range(len(given))):
            return labels_of(column, given)
    paths = [path_of(each) for each in given]
    stems = [None if path is None else path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [None] * len(given)


def _refuse_misaligned(structures: Any, targets: Any) -> None:
    """Raise if two columns of data frames have other rows, or the same in another order."""
    if not (hasattr(structures, "iloc") and hasattr(targets, "iloc")):
        return
    left, right = list(structures.index), list(targets.index)
    if len(left) == len(right) and left != right:
        row = next(number for number, (a, b) in enumerate(zip(left, right, strict=True), start=1) if a != b)
        raise InputError(
            f"Structures and targets have different indexes, first in row {row} ({left[row - 1]!r} and "
            f"{right[row - 1]!r}): take both from one data frame."
        )
