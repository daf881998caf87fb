"""Compositions as a table that travels: what a hub's modules are worth to tasks, without the runs that found it.

The package brings such a table of its built-in hub for the downstream tasks of the papers, so that notebooks
and figures have it where the tasks' data is not. It is made by ``moma insights fill`` and then
``moma insights save``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from moma_app.errors import DamagedFileError, DataNotFoundError, InputError
from moma_app.experiments.matrix import InsightMatrix
from moma_app.experiments.summary import Part, Summary
from moma_app.files import atomic_write_text

OURS = Path(__file__).parent / "ours" / "insights.csv"
"""The table that comes with the package."""
_OF_SUMMARY = ("task", "unit", "split", "k", "temperature", "kind", "weighting", "backbone", "objective")
_OF_PART = tuple(field.name for field in fields(Part))
COLUMNS = (*_OF_SUMMARY, *_OF_PART)
"""A line for each task, split and module that took part."""
_NUMBERS = {"split": int, "k": int, "temperature": float, "objective": float}
_DIGITS = 8


def save_insights(matrix: InsightMatrix, path: Path) -> int:
    """Write a matrix's compositions as CSV, and return how many there are.

    Raises:
        InputError: there is none, or the file cannot be written.
    """
    if not matrix.compositions:
        raise InputError(
            "No composition of these tasks, splits and modules has finished: run `moma insights fill` first."
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task in matrix.tasks:
        for split in matrix.splits:
            summary = matrix.compositions.get((task, split))
            for part in () if summary is None else summary.parts:
                values = [getattr(summary, name) for name in _OF_SUMMARY] + [
                    getattr(part, name) for name in _OF_PART
                ]
                writer.writerow([f"{v:.{_DIGITS}g}" if isinstance(v, float) else v for v in values])
    try:
        atomic_write_text(path, text.getvalue())
    except OSError as exc:
        raise InputError(f"{path} cannot be written ({exc.strerror or exc}).") from exc
    return len(matrix.compositions)


def our_insights() -> InsightMatrix:
    """Return the compositions of the built-in hub that come with the package.

    Raises:
        DataNotFoundError: this version of the package has none.
        DamagedFileError: the file is not in order.
    """
    if not OURS.is_file():
        raise DataNotFoundError(
            "This version of moma-app brings no compositions of its own: compute them with `moma insights fill`."
        )
    return read_insights(OURS)


def read_insights(path: Path) -> InsightMatrix:
    """Read what :func:`save_insights` wrote.

    Raises:
        DataNotFoundError: there is no such file.
        DamagedFileError: it is not in order; names the line.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    except FileNotFoundError as exc:
        raise DataNotFoundError(f"There is no file {path}: write it with `moma insights save`.") from exc
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise DamagedFileError(f"{path} cannot be read ({exc}).") from exc
    if not rows or tuple(rows[0]) != COLUMNS or len(rows) == 1:
        raise DamagedFileError(f"{path} is no table of compositions with the columns {', '.join(COLUMNS)}.")
    parts: dict[tuple[str, int], list[Part]] = {}
    shared: dict[tuple[str, int], tuple[str, ...]] = {}
    for line, row in enumerate(rows[1:], start=2):
        try:
            place = (row[0], int(row[2]))
            parts.setdefault(place, []).append(_part(row[len(_OF_SUMMARY) :]))
            shared.setdefault(place, tuple(row[: len(_OF_SUMMARY)]))
        except (ValueError, IndexError):
            raise DamagedFileError(
                f"{path}, line {line}: {','.join(row)!r} is no part of a composition."
            ) from None
    try:
        return _matrix({place: _summary(shared[place], found) for place, found in parts.items()})
    except ValueError as exc:
        raise DamagedFileError(f"{path} cannot be read ({exc}).") from exc


def _part(values: Sequence[str]) -> Part:
    module, trained_on, weight, proxy_mae, standardised, sha256 = values
    return Part(module, trained_on, float(weight), float(proxy_mae), float(standardised), sha256)


def _summary(shared: Sequence[str], parts: list[Part]) -> Summary:
    named: dict[str, Any] = dict(zip(_OF_SUMMARY, shared, strict=True))
    named.update({name: kind(named[name]) for name, kind in _NUMBERS.items()})
    return Summary(run="", shots=None, parts=tuple(parts), skipped=(), files={}, **named)


def _matrix(compositions: dict[tuple[str, int], Summary]) -> InsightMatrix:
    trained_on = {part.module: part.trained_on for each in compositions.values() for part in each.parts}
    return InsightMatrix(
        tasks=tuple(dict.fromkeys(task for task, _ in compositions)),
        modules=tuple(sorted(trained_on)),
        splits=tuple(sorted({split for _, split in compositions})),
        trained_on=trained_on,
        units={task: each.unit for (task, _), each in compositions.items()},
        compositions=compositions,
    )
