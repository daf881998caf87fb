"""Make a task of the user's own files, with a report on every row that cannot be used."""

from __future__ import annotations

import re
from pathlib import Path

from moma_app.errors import InputError
from moma_app.progress import Listener, silent
from moma_app.tasks.limits import Limits
from moma_app.tasks.making import Making, make_task
from moma_app.tasks.readers import UserFile, read_rows
from moma_app.tasks.report import ImportReport
from moma_app.tasks.specs import Kind
from moma_app.tasks.tables import Columns


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
    making = Making.of(
        name=re.sub(r"[^A-Za-z0-9_-]+", "_", file.stem).strip("_-") if name is None else name,
        property=target,
        unit=unit,
        transform=transform,
        kind=kind,
        extensive=extensive,
        stem=file.stem,
        source=file.name,
        origin=f"imported from {file.name}, target {target}",
        strict=strict,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    columns = Columns(target, structure, id_column, split_column)
    raw = read_rows(file, columns, _root(source, root, file_name), limits or Limits())
    return make_task(making, raw, parted=split_column is not None, progress=progress)


def _root(source: Path, root: str | Path | None, file_name: str | None) -> Path | None:
    """Return the folder of files that a table names; None if it may name none."""
    if root is not None:
        return Path(root)
    return source.parent if file_name is None else None
