"""Structures from files and folders, for prediction: no targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moma_app.errors import InputError
from moma_app.progress import Listener, Step, silent
from moma_app.structures import Crystal
from moma_app.tasks.ase_files import extxyz_rows
from moma_app.tasks.limits import Limits
from moma_app.tasks.parsing import Parsed, parse_structure
from moma_app.tasks.rawrows import RawRow
from moma_app.tasks.readers import UserFile, open_table
from moma_app.tasks.tables import Columns, column_names, structure_column, table_rows
from moma_app.tasks.validation import check_structure

MAX_BYTES = 200 * 2**20
"""A larger file is no structure file."""
FRAMES = (".xyz", ".extxyz")
TABLES = (".csv", ".jsonl", ".parquet", ".xlsx")
"""Tables with a column of structures; a ``.json`` is one structure."""
KNOWN = (".cif", ".vasp", ".poscar", ".contcar", ".json", *FRAMES)
ENDINGS = (*KNOWN, *TABLES)
"""Endings of all files that are read; what has another one, or none, is taken for CIF or POSCAR text."""


@dataclass(frozen=True)
class NamedStructure:
    """A structure and where it came from.

    Attributes:
        label: the file's name, with the number of the frame or row where a file has several.
        crystal: the structure.
        note: how it was read, if that needs saying.
    """

    label: str
    crystal: Crystal
    note: str = ""


@dataclass(frozen=True)
class BadFile:
    """A file, or a frame or row of one, that gives no usable structure."""

    label: str
    reason: str


def structure_paths(paths: Iterable[Path]) -> list[Path]:
    """Return the files that are meant: a folder stands for the structure files in it.

    Raises:
        InputError: a path does not exist, or a folder holds no structure file.
    """
    return list(_expand(paths))


def read_structure_files(
    files: Sequence[UserFile], progress: Listener = silent
) -> tuple[list[NamedStructure], list[BadFile]]:
    """Read CIF, POSCAR, pymatgen JSON and (ext)xyz files, and tables with a column of structures.

    Args:
        files: what to read.
        progress: gets a ``Step`` after each.

    Returns:
        The usable structures in the order of the files, and the unusable ones with the reason.
    """
    good: list[NamedStructure] = []
    bad: list[BadFile] = []
    for done, file in enumerate(files, start=1):
        try:
            for structure in _read(file):
                if isinstance(structure, BadFile):
                    bad.append(structure)
                    continue
                try:
                    check_structure(structure.crystal)
                except InputError as exc:
                    bad.append(BadFile(structure.label, str(exc)))
                else:
                    good.append(structure)
        except InputError as exc:
            bad.append(BadFile(file.name, str(exc)))
        progress(Step(what="files read", done=done, total=len(files), fraction=done / len(files)))
    return good, bad


def is_structure_file(path: Path) -> bool:
    """Say whether a file's name is that of a structure file."""
    name = path.name.lower()
    return path.is_file() and (path.suffix.lower() in KNOWN or name.startswith(("poscar", "contcar")))


def _expand(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if is_structure_file(file)]
            if not files:
                raise InputError(f"The folder {path} has no CIF, POSCAR, JSON or xyz file.")
            yield from files
        elif path.is_file():
            yield path
        else:
            raise InputError(f"There is no file {path}.")


def _read(file: UserFile) -> Iterator[NamedStructure | BadFile]:
    if file.path.stat().st_size > MAX_BYTES:
        raise InputError(f"the file is larger than {MAX_BYTES // 2**20} MiB")
    if file.ending in FRAMES:
        yield from _parsed(file, list(extxyz_rows(file.path, target="", shown=file.name)))
    elif file.ending in TABLES:
        yield from _parsed(file, _rows_of_table(file))
    else:
        try:
            text = file.path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as exc:
            raise InputError("it is no text file") from exc
        yield _named(file.name, parse_structure(text))


def _rows_of_table(file: UserFile) -> list[RawRow]:
    """Return the rows of a table; its targets, if it has any, are not looked at."""
    with open_table(file, None, Limits(file_bytes=MAX_BYTES)) as (name, records, place):
        assert records is not None, "only a zip file may come without"
        names = column_names(records)
        column = structure_column(names)
        return list(table_rows(name, records, Columns(target=column or names[0], structure=column), place))


def _parsed(file: UserFile, rows: list[RawRow]) -> Iterator[NamedStructure | BadFile]:
    """Yield the structures of a file with several."""
    for row in rows:
        label = file.name if len(rows) == 1 else f"{file.name}#{row.id or row.number}"
        try:
            if row.problem is not None:
                raise row.problem
            yield _named(label, row.parsed or parse_structure(row.content))
        except InputError as exc:
            yield BadFile(label, str(exc))


def _named(label: str, parsed: Parsed) -> NamedStructure:
    notes = (*parsed.warnings, *(["a molecule, put in a box with vacuum"] if parsed.molecule else []))
    return NamedStructure(label, parsed.crystal, "; ".join(notes))
