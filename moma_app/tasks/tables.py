"""Rows from a user's table, and from files that ``id_prop.csv`` lists (the CGCNN convention)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moma_app.errors import InputError, UnknownNameError
from moma_app.tasks.parsing import StructureError
from moma_app.tasks.places import Place
from moma_app.tasks.rawrows import RawRow
from moma_app.tasks.records import Records

STRUCTURE_COLUMNS = ("structure", "cif", "poscar", "structures", "cif_text", "pymatgen", "atoms")
PATH_COLUMNS = ("path", "file", "filename", "structure_path", "structure_file", "cif_path", "cif_file")
ID_COLUMNS = ("material_id", "id", "mpid", "mp_id", "jid", "name")
SPLIT_COLUMNS = ("split", "part", "subset", "partition")
FILE_ENDINGS = (".cif", ".vasp", ".poscar", ".POSCAR", ".json")
LIST = "id_prop.csv"


@dataclass(frozen=True)
class Columns:
    """Names of the columns or keys that a user's file is read by.

    Attributes:
        target: of the target.
        structure: of structures or of paths; found by its name if None.
        id: of ids; found by its name if None.
        split: of the part (train, val, test) of each row; None if there is none.
    """

    target: str
    structure: str | None = None
    id: str | None = None
    split: str | None = None


def column_names(records: Records) -> list[str]:
    """Return the names of a table's columns in the order in which they appear."""
    return list(dict.fromkeys(name for record in records.rows for name in record if name))


def structure_column(columns: Sequence[str]) -> str | None:
    """Return the column that by its name holds structures or paths, or None."""
    return find_column(columns, STRUCTURE_COLUMNS) or find_column(columns, PATH_COLUMNS)


def table_rows(table: str, records: Records, columns: Columns, place: Place) -> Iterator[RawRow]:
    """Turn records into rows.

    Args:
        table: what the user calls the table, for messages.
        records: its rows.
        columns: by which they are read.
        place: of the structure files that a column of paths names.

    Raises:
        UnknownNameError: a column is not there.
        InputError: no column has a name that tells that it holds structures.
    """
    names = column_names(records)
    for wanted in (columns.target, columns.structure, columns.id, columns.split):
        if wanted is not None and wanted not in names:
            raise UnknownNameError(f"column in {table}", wanted, names)
    structure = columns.structure or structure_column(names)
    if structure is None:
        raise InputError(
            f"{table} has no column of structures (such as {', '.join(STRUCTURE_COLUMNS[:3])}) or of paths "
            f"(such as {', '.join(PATH_COLUMNS[:2])}); it has {', '.join(names)}."
        )
    others = [name for name in names if name not in {columns.target, structure}]
    id_column = columns.id or find_column(others, ID_COLUMNS)
    for number, record in enumerate(records.rows, start=1):
        content, problem = record.get(structure), None
        if structure.lower() in PATH_COLUMNS:
            content, problem = _content(place, _text(content))
        yield RawRow(
            number,
            _text(record.get(id_column)) if id_column else None,
            record.get(columns.target),
            content=content,
            problem=problem,
            line=records.line(number),
            part=None if columns.split is None else (_text(record.get(columns.split)) or ""),
        )


def _content(place: Place, path: str | None) -> tuple[str | None, StructureError | None]:
    """Return the text of a file, or why there is none."""
    if path is None:
        return None, StructureError("unparsable", "no path given")
    try:
        return place.text(path), None
    except StructureError as exc:
        return None, exc


def listed_rows(place: Place) -> Iterator[RawRow]:
    """Return the rows of a folder or zip file in the CGCNN convention.

    ``id_prop.csv`` holds lines ``id,value`` without a header (a first line whose value is no
    number and whose id has no file is taken for one); the structure of an id is the file of
    that name with an ending of CIF or POSCAR, or ``POSCAR`` in a folder of that name.

    Raises:
        InputError: there is no ``id_prop.csv``, or it is empty.
    """
    if not place.has(LIST):
        raise InputError(f"{place.name} has no {LIST}: lines id,value that name the structure files in it.")
    try:
        reader = csv.reader(io.StringIO(place.text(LIST), newline=""), strict=True)
        lines = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except (csv.Error, StructureError) as exc:
        raise InputError(f"{LIST} of {place.name} is no valid CSV in UTF-8: {exc}.") from exc
    if lines and _is_header(place, lines[0][1]):
        lines = lines[1:]
    if not lines:
        raise InputError(f"{LIST} of {place.name} holds no rows.")
    for number, (line_number, line) in enumerate(lines, start=1):
        name = line[0].strip()
        value = line[1] if len(line) > 1 else None
        try:
            content = _content_of(place, name)
        except StructureError as exc:
            yield RawRow(number, name, value, problem=exc, line=line_number)
        else:
            yield RawRow(number, name, value, content=content, line=line_number)


def _content_of(place: Place, name: str) -> str:
    file = _structure_file(place, name)
    if file is None:
        raise StructureError("unparsable", f"there is no file {name}.cif or {name}.vasp")
    return place.text(file)


def _is_header(place: Place, line: list[str]) -> bool:
    try:
        float(line[1])
    except (IndexError, ValueError):
        return len(line) > 1 and bool(line[1].strip()) and _is_missing(place, line[0].strip())
    return False


def _is_missing(place: Place, name: str) -> bool:
    try:
        return _structure_file(place, name) is None
    except StructureError:
        return False


def _structure_file(place: Place, name: str) -> str | None:
    """Return the name of the file of a structure's id."""
    if not name or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise StructureError("unparsable", f"the id {name!r} is no plain file name")
    candidates = [f"{name}{ending}" for ending in ("", *FILE_ENDINGS)]
    candidates += [f"POSCAR.{name}", f"{name}/POSCAR"]
    return next((file for file in candidates if place.has(file)), None)


def find_column(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the first column whose name is one of ``known``, in the order of ``known``."""
    by_lower = {column.lower(): column for column in reversed(columns)}
    return next((by_lower[name] for name in known if name in by_lower), None)


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None
