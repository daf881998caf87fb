"""Tables in a user's files as records: CSV, JSON, JSON lines, Parquet, Excel."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from moma_app.errors import InputError, MissingDependencyError
from moma_app.tasks.limits import Limits

ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".xlsx")
_LARGEST_FIELD = 1 << 27  # bytes of one CSV field; the csv module's own limit is too small for a large CIF

Record = Mapping[str, Any]


class Records(NamedTuple):
    """Rows of a table.

    Attributes:
        rows: a mapping from column to value for each row.
        lines: the line of the file where each row begins, from 1; empty where a format has no lines.
    """

    rows: list[Record]
    lines: list[int]

    def line(self, number: int) -> int | None:
        """Return the line of row ``number`` (from 1), or None."""
        return self.lines[number - 1] if self.lines else None


def read_records(path: Path, limits: Limits, name: str | None = None) -> Records:
    """Return the rows of a CSV, JSON, JSON-lines, Parquet or Excel file.

    Args:
        path: the file; its ending tells what it is.
        limits: of what an Excel workbook, a zip file, may hold.
        name: what the user calls it.

    Raises:
        InputError: the file cannot be read as what its name says, or is no table.
        MissingDependencyError: Excel workbooks need openpyxl.
    """
    shown = name or str(path)
    try:
        match path.suffix.lower():
            case ".csv":
                records = _csv(path, shown)
            case ".json":
                records = _json(path, shown)
            case ".jsonl":
                records = _json_lines(path, shown)
            case ".xlsx":
                records = _excel(path, shown, limits)
            case _:
                records = _parquet(path, shown)
    except UnicodeDecodeError as exc:
        raise InputError(f"{shown} is not UTF-8 text: save it as UTF-8.") from exc
    except OSError as exc:
        raise InputError(f"{shown} cannot be read: {exc.strerror or exc}.") from exc
    if not records.rows:
        raise InputError(f"{shown} holds no rows.")
    return records


def _csv(path: Path, shown: str) -> Records:
    before = csv.field_size_limit(_LARGEST_FIELD)
    rows: list[Record] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            _ = reader.fieldnames  # reads the header
            line = reader.line_num + 1
            for row in reader:
                rows.append(row)
                lines.append(line)
                line = reader.line_num + 1
    except csv.Error as exc:
        raise InputError(f"{shown} is no valid CSV: {exc}.") from exc
    finally:
        csv.field_size_limit(before)
    return Records(rows, lines)


def _json(path: Path, shown: str) -> Records:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, RecursionError) as exc:
        raise InputError(f"{shown} is no valid JSON ({exc}).") from exc
    try:
        return Records(_records_of(content), [])
    except (TypeError, ValueError, AttributeError, IndexError) as exc:
        raise InputError(
            f"{shown} is no table: a list of records, a mapping of columns, "
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


def _json_lines(path: Path, shown: str) -> Records:
    rows: list[Record] = []
    lines: list[int] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as exc:
            raise InputError(f"{shown}, line {number}: no valid JSON ({exc}).") from exc
        if not isinstance(record, dict):
            raise InputError(f"{shown}, line {number}: no JSON object.")
        rows.append(record)
        lines.append(number)
    return Records(rows, lines)


def _parquet(path: Path, shown: str) -> Records:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return Records(pq.read_table(path).to_pylist(), [])
    except pa.ArrowException as exc:
        raise InputError(f"{shown} is damaged or no Parquet file: {str(exc).splitlines()[0]}.") from exc


def _excel(path: Path, shown: str, limits: Limits) -> Records:
    """Return the rows of a workbook's first sheet; formulas give the values that Excel has stored."""
    from moma_app.tasks.archives import Archive

    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError as exc:
        raise MissingDependencyError(
            f"{shown}: Excel workbooks need the package openpyxl; install it, or save the sheet as CSV."
        ) from exc
    Archive(path, limits, shown).__exit__()  # a workbook is a zip file, and may be as hostile
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheet = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except Exception as exc:
        raise InputError(f"{shown} is damaged or no Excel workbook (.xlsx).") from exc
    header = ["" if cell is None else str(cell).strip() for cell in (sheet[0] if sheet else ())]
    if len({name for name in header if name}) != sum(map(bool, header)):
        raise InputError(f"{shown} has two columns of one name.")
    filled = [
        (line, row) for line, row in enumerate(sheet[1:], start=2) if any(cell is not None for cell in row)
    ]
    rows: list[Record] = [
        {name: cell for name, cell in zip(header, row, strict=False) if name} for _, row in filled
    ]
    return Records(rows, [line for line, _ in filled])
