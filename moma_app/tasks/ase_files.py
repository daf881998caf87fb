"""Rows from extxyz files and ASE databases."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.structures import Crystal
from moma_app.tasks.parsing import Parsed, StructureError
from moma_app.tasks.rawrows import RawRow

ID_KEYS = ("material_id", "id", "mpid", "mp_id", "jid", "name")
_SQLITE = b"SQLite format 3\0"


def is_ase_json(path: Path) -> bool:
    """Say whether a JSON file is a database of ASE rather than a table."""
    try:
        with path.open(encoding="utf-8") as stream:
            content = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"ids", "nextid"} <= set(content)


def extxyz_rows(
    path: Path, *, target: str, id_column: str | None = None, shown: str | None = None
) -> Iterator[RawRow]:
    """Return the frames of an (extended) xyz file.

    The target is an entry of the comment line: a named value, or an energy that ASE knows.
    Frames are cut out by their atom counts, so that a broken frame costs only itself. ``shown`` is
    what the user calls the file.

    Raises:
        InputError: the file is not UTF-8 text, or its first line is no atom count.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{shown or path} cannot be read as UTF-8 text.") from exc
    start, number = 0, 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        number += 1
        count = lines[start].strip()
        if not count.isdigit():
            if number == 1:
                raise InputError(f"{shown or path} is no xyz file: line {start + 1} is no number of atoms.")
            problem = StructureError(
                "unparsable", f"line {start + 1} is no number of atoms; what follows is lost"
            )
            yield RawRow(number, None, None, problem=problem, line=start + 1)
            return
        end = start + 2 + int(count)
        frame = _frame(number, lines[start:end], int(count), target, id_column=id_column)
        yield replace(frame, line=start + 1)
        start = end


def _frame(number: int, lines: list[str], count: int, target: str, *, id_column: str | None) -> RawRow:
    try:
        atoms = _read_frame(lines, count)
    except StructureError as exc:
        return RawRow(number, None, None, problem=exc)
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    return _row(
        number, _id(atoms.info, id_column), atoms.info.get(target, results.get(target)), atoms, results
    )


def _read_frame(lines: list[str], count: int) -> Any:
    """Return the ASE ``Atoms`` of one frame: a line of the count, a comment, one line per atom."""
    from ase.io.extxyz import read_xyz

    if len(lines) != count + 2:
        raise StructureError("unparsable", f"the frame ends after {max(len(lines) - 2, 0)} of {count} atoms")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return next(iter(read_xyz(io.StringIO("\n".join(lines) + "\n"), index=slice(0, 1))))
    except KeyError as exc:
        raise StructureError("unknown element", f"unknown element {exc.args[0]!r}") from exc
    except Exception as exc:
        raise StructureError("unparsable", "is no readable xyz frame") from exc


def database_rows(
    path: Path, *, target: str, id_column: str | None = None, shown: str | None = None
) -> Iterator[RawRow]:
    """Return the rows of an ASE database (``.db`` or ``.json``).

    The target is a key of the row's key-value pairs, or a result such as ``energy``. ``shown`` is what
    the user calls the file.

    Raises:
        InputError: the file is no database of ASE.
    """
    from ase.db import connect

    stem = Path(shown or path).stem
    kind = "json" if path.suffix.lower() == ".json" else "db"
    if kind == "db":
        with path.open("rb") as stream:
            if stream.read(len(_SQLITE)) != _SQLITE:
                raise InputError(f"{shown or path} is no ASE database (no SQLite file).")
    try:
        with connect(str(path), type=kind, use_lock_file=False) as database:
            for number, row in enumerate(database.select(include_data=False), start=1):
                pairs = dict(row.key_value_pairs)
                value = pairs.get(target, row.get(target))
                yield _from_database(number, row, _id(pairs, id_column) or f"{stem}-{row.id}", value)
    except InputError:
        raise
    except Exception as exc:
        raise InputError(f"{shown or path} cannot be read as an ASE database.") from exc


def first_keys(path: Path, shown: str) -> list[str]:
    """Return the names under which the first frame or row of an xyz file or ASE database holds values.

    Raises:
        InputError: the file cannot be read, or its first frame is broken.
    """
    from ase.db import connect

    if path.suffix.lower() in {".xyz", ".extxyz"}:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            count = stream.readline().strip()
            lines = [count, *islice(stream, int(count) + 1 if count.isdecimal() else 0)]
        try:
            atoms = _read_frame([line.rstrip("\n") for line in lines], len(lines) - 2)
        except StructureError as exc:
            raise InputError(f"{shown} is no xyz file: {exc}.") from exc
        return [*atoms.info, *(atoms.calc.results if atoms.calc is not None else {})]
    try:
        with connect(str(path), type=path.suffix.lower().lstrip("."), use_lock_file=False) as database:
            row = next(iter(database.select(limit=1, include_data=False)))
            results = [name for name in ("energy", "magmom") if row.get(name) is not None]
            return [*row.key_value_pairs, *results]
    except Exception as exc:
        raise InputError(f"{shown} cannot be read as an ASE database.") from exc


def _from_database(number: int, row: Any, name: str, value: Any) -> RawRow:
    from ase import Atoms

    try:
        atoms = Atoms(numbers=row.numbers, positions=row.positions, cell=row.cell, pbc=row.pbc)
    except Exception:  # noqa: BLE001 - ASE raises many kinds; each means that the row cannot be read
        problem = StructureError("unparsable", "the row gives no structure")
        return RawRow(number, name, value, problem=problem)
    return _row(number, name, value, atoms, {"forces": row.get("forces")})


def _row(number: int, name: str | None, value: Any, atoms: Any, results: dict[str, Any]) -> RawRow:
    try:
        crystal = _crystal(atoms)
    except StructureError as exc:
        return RawRow(number, name, value, problem=exc)
    forces: NDArray[np.float64] | None = None
    if results.get("forces") is not None:
        forces = np.asarray(results["forces"], dtype=np.float64)
        if forces.shape != (len(crystal), 3) or not np.isfinite(forces).all():
            forces = None
    periodic = list(atoms.pbc)
    said = (
        () if all(periodic) or not any(periodic) else ("open directions of the cell were filled with vacuum",)
    )
    parsed = Parsed(crystal, molecule=not any(periodic), warnings=said)
    return RawRow(number, name, value, parsed=parsed, forces=forces)


def _crystal(atoms: Any) -> Crystal:
    if not len(atoms):
        raise StructureError("unparsable", "has no atoms")
    if (atoms.get_atomic_numbers() < 1).any():
        raise StructureError("unknown element", "holds an atom without an element (X)")
    if not np.isfinite(atoms.get_positions()).all():
        raise StructureError("unparsable", "a coordinate is not finite")
    if all(atoms.pbc) and not abs(np.linalg.det(atoms.cell.array)) > 0:
        raise StructureError("no volume", "the cell has no volume")
    try:
        return Crystal.from_any(atoms)
    except (InputError, ValueError, ArithmeticError, np.linalg.LinAlgError) as exc:
        raise StructureError("no volume", "the cell has no volume") from exc


def _id(values: dict[str, Any], id_column: str | None) -> str | None:
    keys = (id_column,) if id_column else ID_KEYS
    found = next((values[key] for key in keys if key in values), None)
    return None if found is None else str(found).strip() or None
