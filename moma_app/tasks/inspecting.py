"""What a user's file holds, before anything of it is imported: rows, columns, and what they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moma_app.errors import InputError
from moma_app.tasks.ase_files import first_keys
from moma_app.tasks.limits import Limits
from moma_app.tasks.readers import FRAMES, UserFile, is_database, open_table
from moma_app.tasks.records import Records
from moma_app.tasks.tables import (
    ID_COLUMNS,
    PATH_COLUMNS,
    SPLIT_COLUMNS,
    STRUCTURE_COLUMNS,
    column_names,
    find_column,
    listed_rows,
    structure_column,
)

SHOWN = 5
"""First rows that are shown."""
_LOOKED_AT = 200
_LONGEST = 60

Form = Literal["table", "list", "frames", "database"]


@dataclass(frozen=True)
class Inspection:
    """A user's file as it can be chosen from.

    Attributes:
        form: a table; structure files with ``id_prop.csv`` (whose target has no name); frames of an extxyz
            file; rows of an ASE database.
        n_rows: rows; None where only the first were looked at.
        columns: names of its columns or keys.
        structure: the column that by its name holds structures or paths; None if none does.
        id: the column that by its name holds ids.
        split: the column that by its name says train, val or test.
        targets: columns that may be a target, those with numbers first.
        first: the first rows as text, cut short; empty for frames and databases.
    """

    form: Form
    n_rows: int | None
    columns: list[str]
    structure: str | None = None
    id: str | None = None
    split: str | None = None
    targets: tuple[str, ...] = ()
    first: tuple[dict[str, str], ...] = ()


def inspect_file(path: Path, *, file_name: str | None = None, limits: Limits | None = None) -> Inspection:
    """Look at a user's file; structures are not parsed.

    Args:
        path: see :func:`moma_app.tasks.importing.import_task`.
        file_name: what the user calls it, where ``path`` has a name of ours.
        limits: how much is read at most.

    Raises:
        InputError: the file is not readable, too large, or of no known form.
    """
    file, limits = UserFile(path, file_name or path.name), limits or Limits()
    limits.check_file(path, file.name)
    if file.ending in FRAMES or is_database(file):
        keys = first_keys(path, file.name)
        ids = find_column(keys, ID_COLUMNS)
        targets = tuple(key for key in keys if key != ids)
        return Inspection(
            "frames" if file.ending in FRAMES else "database", None, keys, id=ids, targets=targets
        )
    if path.is_dir():
        raise InputError(f"{file.name} is a folder, not a file.")
    with open_table(file, None, limits) as (_, records, place):
        if records is None:
            rows = list(listed_rows(place))
            first = tuple({"id": row.id or "", "value": str(row.target)[:_LONGEST]} for row in rows[:SHOWN])
            return Inspection("list", len(rows), ["id", "value"], id="id", targets=("value",), first=first)
        return _table(records)


def _table(records: Records) -> Inspection:
    columns = column_names(records)
    structure = structure_column(columns)
    ids = find_column([name for name in columns if name != structure], ID_COLUMNS)
    split = find_column([name for name in columns if name not in {structure, ids}], SPLIT_COLUMNS)
    known = {structure, ids, split, *(name for name in columns if _is_structure(name))}
    return Inspection(
        "table",
        len(records.rows),
        columns,
        structure=structure,
        id=ids,
        split=split,
        targets=_targets(records, [name for name in columns if name not in known]),
        first=tuple({name: _short(record.get(name)) for name in columns} for record in records.rows[:SHOWN]),
    )


def _is_structure(name: str) -> bool:
    return name.lower() in STRUCTURE_COLUMNS or name.lower() in PATH_COLUMNS


def _targets(records: Records, columns: Sequence[str]) -> tuple[str, ...]:
    """Return columns that may be a target; those with a number in most of the first rows come first."""
    share = {}
    for name in columns:
        given = [record.get(name) for record in records.rows[:_LOOKED_AT]]
        share[name] = sum(_is_number(value) for value in given) / max(
            1, sum(v not in (None, "") for v in given)
        )
    return tuple(sorted(columns, key=lambda name: share[name] < 0.5))


def _is_number(value: Any) -> bool:
    if value is None:
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _short(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
