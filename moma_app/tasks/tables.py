"""Rows from a user's CSV, JSON or Parquet table, and from a folder in the CGCNN convention."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moma_app.errors import InputError, UnknownNameError
from moma_app.tasks.parsing import StructureError
from moma_app.tasks.rawrows import RawRow

STRUCTURE_COLUMNS = ("structure", "cif", "poscar", "structures", "cif_text", "pymatgen", "atoms")
PATH_COLUMNS = ("path", "file", "filename", "structure_path", "structure_file", "cif_path", "cif_file")
ID_COLUMNS = ("material_id", "id", "mpid", "mp_id", "jid", "name")
FILE_ENDINGS = (".cif", ".vasp", ".poscar", ".POSCAR", ".json")
_LARGEST_FIELD = 1 << 27  # bytes of one CSV field; the csv module's own limit is too small for a large CIF

Record = Mapping[str, Any]


def read_records(path: Path) -> list[Record]:
    """Return the rows of a CSV, JSON, JSON-lines or Parquet file as mappings.

    Raises:
        InputError: the file cannot be read as what its name says, or is no table.
    """
    readers = {".csv": _csv, ".json": _json, ".jsonl": _json_lines, ".parquet": _parquet}
    try:
        records = readers[path.suffix.lower()](path)
    except UnicodeDecodeError as exc:
        raise InputError(f"{path} is not UTF-8 text: save it as UTF-8.") from exc
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    if not records:
        raise InputError(f"{path} holds no rows.")
    return records


def _csv(path: Path) -> list[Record]:
    before = csv.field_size_limit(_LARGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            return list(reader)
    except csv.Error as exc:
        raise InputError(f"{path} is no valid CSV: {exc}.") from exc
    finally:
        csv.field_size_limit(before)


def _json(path: Path) -> list[Record]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, RecursionError) as exc:
        raise InputError(f"{path} is no valid JSON ({exc}).") from exc
    try:
        return _records_of(content)
    except (TypeError, ValueError, AttributeError, IndexError) as exc:
        raise InputError(
            f"{path} is no table: a list of records, a mapping of columns, "
            "or columns with data as pandas writes them is expected."
        ) from exc


def _records_of(content: Any) -> list[Record]:
    if isinstance(content, list):
        if not all(isinstance(record, dict) for record in content):
            raise TypeError
        return content
    if {"columns", "data"} <= set(content):
        return [dict(zip(content["columns"], values, strict=True)) for values in content["data"]]
    columns = {name: list(v.values()) if isinstance(v, dict) else list(v) for name, v in content.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _json_lines(path: Path) -> list[Record]:
    records: list[Record] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as exc:
            raise InputError(f"{path}, line {number}: no valid JSON ({exc}).") from exc
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number}: no JSON object.")
        records.append(record)
    return records


def _parquet(path: Path) -> list[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        records: list[Record] = pq.read_table(path).to_pylist()
    except pa.ArrowException as exc:
        raise InputError(f"{path} is damaged or no Parquet file: {str(exc).splitlines()[0]}.") from exc
    return records


def table_rows(
    path: Path,
    records: Sequence[Record],
    *,
    target: str,
    structure: str | None = None,
    id_column: str | None = None,
    root: Path | None = None,
) -> Iterator[RawRow]:
    """Turn records into rows.

    Args:
        path: the table's file, for messages; paths in it are relative to its folder.
        records: its rows.
        target: the target column.
        structure: the column with structures or with paths; found by its name if None.
        id_column: the column with ids; found by its name if None.
        root: folder in which structure files must lie (default: the table's folder).

    Raises:
        UnknownNameError: a column is not there.
        InputError: no column has a name that tells that it holds structures.
    """
    columns = list(dict.fromkeys(name for record in records for name in record if name is not None))
    for wanted in (target, structure, id_column):
        if wanted is not None and wanted not in columns:
            raise UnknownNameError(f"column in {path.name}", wanted, columns)
    folder = (root or path.parent).resolve()
    if structure is None:
        structure = _find(columns, STRUCTURE_COLUMNS) or _find(columns, PATH_COLUMNS)
    if structure is None:
        raise InputError(
            f"{path} has no column of structures (such as {', '.join(STRUCTURE_COLUMNS[:3])}) or of paths "
            f"(such as {', '.join(PATH_COLUMNS[:2])}); it has {', '.join(columns)}."
        )
    as_path = structure.lower() in PATH_COLUMNS
    id_column = id_column or _find([name for name in columns if name not in {target, structure}], ID_COLUMNS)
    for number, record in enumerate(records, start=1):
        name = _text(record.get(id_column)) if id_column else None
        yield _row(number, name, record.get(target), record.get(structure), folder if as_path else None)


def _row(number: int, name: str | None, target: Any, content: Any, folder: Path | None) -> RawRow:
    if folder is None:
        return RawRow(number, name, target, content=content)
    try:
        return RawRow(number, name, target, content=_read_inside(folder, _text(content) or ""))
    except StructureError as exc:
        return RawRow(number, name, target, problem=exc)


def _read_inside(folder: Path, relative: str) -> str:
    """Return the text of a file inside ``folder``."""
    if not relative:
        raise StructureError("unparsable", "no path given")
    try:
        path = (folder / relative).resolve()
        if not path.is_relative_to(folder):
            raise StructureError("unparsable", f"the path {relative!r} leads out of {folder}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        raise StructureError("unparsable", f"the file {relative!r} cannot be read") from exc


def folder_rows(folder: Path) -> Iterator[RawRow]:
    """Return the rows of a folder in the CGCNN convention.

    ``id_prop.csv`` holds lines ``id,value`` without a header (a first line whose value is no
    number and whose id has no file is taken for one); the structure of an id is the file of
    that name with an ending of CIF or POSCAR, or ``POSCAR`` in a folder of that name.

    Raises:
        InputError: there is no ``id_prop.csv``, or it is empty.
    """
    table = folder / "id_prop.csv"
    if not table.is_file():
        raise InputError(f"{folder} has no id_prop.csv: lines id,value that name the structure files in it.")
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream, strict=True) if any(cell.strip() for cell in line)]
    except (csv.Error, UnicodeDecodeError, OSError) as exc:
        raise InputError(f"{table} is no valid CSV in UTF-8: {exc}.") from exc
    inside = folder.resolve()
    if lines and _is_header(inside, lines[0]):
        lines = lines[1:]
    if not lines:
        raise InputError(f"{table} holds no rows.")
    for number, line in enumerate(lines, start=1):
        name = line[0].strip()
        value = line[1] if len(line) > 1 else None
        try:
            content = _content_of(inside, name)
        except StructureError as exc:
            yield RawRow(number, name, value, problem=exc)
        else:
            yield RawRow(number, name, value, content=content)


def _content_of(folder: Path, name: str) -> str:
    file = _structure_file(folder, name)
    if file is None:
        raise StructureError("unparsable", f"there is no file {name}.cif or {name}.vasp")
    return _read_inside(folder, str(file.relative_to(folder)))


def _is_header(folder: Path, line: list[str]) -> bool:
    try:
        float(line[1])
    except (IndexError, ValueError):
        return len(line) > 1 and bool(line[1].strip()) and _is_missing(folder, line[0].strip())
    return False


def _is_missing(folder: Path, name: str) -> bool:
    try:
        return _structure_file(folder, name) is None
    except StructureError:
        return False


def _structure_file(folder: Path, name: str) -> Path | None:
    """Return the file of a structure's id, inside ``folder``."""
    if not name or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise StructureError("unparsable", f"the id {name!r} is no plain file name")
    candidates = [folder / f"{name}{ending}" for ending in ("", *FILE_ENDINGS)]
    candidates += [folder / f"POSCAR.{name}", folder / name / "POSCAR"]
    return next((path for path in candidates if path.is_file()), None)


def _find(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the first column whose name is one of ``known``, in the order of ``known``."""
    by_lower = {column.lower(): column for column in reversed(columns)}
    return next((by_lower[name] for name in known if name in by_lower), None)


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None
