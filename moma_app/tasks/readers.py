"""Which reader takes a user's file: by its ending, and by what lies in a folder or zip file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moma_app.errors import InputError
from moma_app.tasks.archives import Archive
from moma_app.tasks.ase_files import database_rows, extxyz_rows, is_ase_json
from moma_app.tasks.limits import Limits
from moma_app.tasks.places import Folder, Nowhere, Place
from moma_app.tasks.rawrows import RawRow
from moma_app.tasks.records import ENDINGS, Records, read_records
from moma_app.tasks.tables import LIST, Columns, listed_rows, table_rows

FRAMES = (".xyz", ".extxyz")
DATABASES = (".db",)
_IN_ARCHIVE = (".csv", ".jsonl", ".parquet", ".xlsx")
"""Tables that a zip file may hold beside structure files; a ``.json`` in there is a structure."""
_FORMATS = (
    "CSV, Excel (.xlsx), JSON, JSON lines, Parquet, extxyz (.xyz, .extxyz), an ASE database (.db, .json), "
    "a zip file or a folder"
)


@dataclass(frozen=True)
class UserFile:
    """A file or folder that a user gave us.

    Attributes:
        path: where it lies; its ending tells what it is.
        name: what the user calls it: for messages and names, never a path.
    """

    path: Path
    name: str

    @property
    def ending(self) -> str:
        """Ending of the file in lower case; empty for a folder."""
        return "" if self.path.is_dir() else self.path.suffix.lower()

    @property
    def stem(self) -> str:
        """The user's name without the ending."""
        return Path(self.name).stem


def read_rows(file: UserFile, columns: Columns, root: Path | None, limits: Limits) -> list[RawRow]:
    """Read all rows of a user's file.

    Args:
        file: a table, a folder or zip file with a table or ``id_prop.csv``, an extxyz file or an ASE database.
        columns: by which it is read.
        root: folder of the files that a column of paths names; None if it may name none.
        limits: how much is read at most.

    Raises:
        UnknownNameError: a column is not there.
        InputError: the file cannot be read, or is too large.
    """
    limits.check_file(file.path, file.name)
    database = is_database(file)
    if columns.split is not None and (database or file.ending not in {*ENDINGS, ".zip"}):
        raise InputError(f"A split is read from the column of a table: {file.name} is none.")
    if file.path.is_dir():
        return list(listed_rows(Folder(file.path)))
    if file.ending in FRAMES:
        return list(extxyz_rows(file.path, target=columns.target, id_column=columns.id, shown=file.name))
    if database:
        return list(database_rows(file.path, target=columns.target, id_column=columns.id, shown=file.name))
    with open_table(file, root, limits) as (table, records, place):
        return list(listed_rows(place) if records is None else table_rows(table, records, columns, place))


def is_database(file: UserFile) -> bool:
    """Say whether a file is a database of ASE."""
    return file.ending in DATABASES or (file.ending == ".json" and is_ase_json(file.path))


@contextmanager
def open_table(
    file: UserFile, root: Path | None, limits: Limits
) -> Iterator[tuple[str, Records | None, Place]]:
    """Yield a table's name, its records, and where the files are that it names.

    The records are None where ``id_prop.csv`` takes their place.

    Raises:
        InputError: the file is no table, or a zip file without one.
    """
    if file.ending in ENDINGS:
        yield (
            file.name,
            read_records(file.path, limits, file.name),
            Nowhere() if root is None else Folder(root),
        )
    elif file.ending == ".zip":
        with Archive(file.path, limits, file.name) as archive:
            if archive.has(LIST):
                yield LIST, None, archive
            else:
                yield *_packed_table(archive, limits), archive
    else:
        raise InputError(f"{file.name} has an ending that is not known: {_FORMATS} is expected.")


def _packed_table(archive: Archive, limits: Limits) -> tuple[str, Records]:
    """Return name and records of the one table in a zip file."""
    tables = [name for name in archive.names if "/" not in name and name.lower().endswith(_IN_ARCHIVE)]
    if len(tables) != 1:
        found = f"{len(tables)} ({', '.join(tables[:3])})" if tables else "none"
        raise InputError(
            f"{archive.name} needs {LIST} or one table beside the structure files ({', '.join(_IN_ARCHIVE)}): "
            f"it has {found}."
        )
    (name,) = tables
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"table{Path(name).suffix.lower()}"
        path.write_bytes(archive.data(name))
        return name, read_records(path, limits, f"{name} in {archive.name}")
