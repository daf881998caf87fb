"""Where the errors of a fit are: by element, by structure, and the worst ones. No PyTorch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.formulas import SYMBOLS, reduced_formula

if TYPE_CHECKING:
    from moma_app.structures import StructureSet
    from moma_app.tasks.data import TaskData
    from moma_app.training.outcome import FitReport

WORST = 10
"""Structures with the largest errors that are told with their values."""


def analyse(report: FitReport, data: TaskData, test: NDArray[np.int64]) -> dict[str, list[dict[str, Any]]]:
    """Say where the errors of a fit are.

    An error is the prediction minus the target in the task's unit; for classes it is 1 where the class is
    wrong and 0 where it is right, so that a mean is a share.

    Args:
        report: of the fit.
        data: all rows of its task.
        test: positions of the test rows in ``data``, in the order of the report, int64 [m]; those that the
            report lacks, because the backbone could not make graphs of them, are left out.

    Returns:
        JSON-ready: ``by_element`` with ``element``, ``mae`` over the test structures that hold it, and ``n``
        of these; ``rows`` with ``position`` (place among the test rows), ``id``, ``formula``, ``n_atoms`` and
        ``error``; ``worst``, the same of the largest errors with ``true`` and ``predicted``.

    Raises:
        InputError: the rows are not those of the report.
    """
    test = _tested(report, data, test)
    true, predicted = np.array(report.targets), np.array(report.predicted)
    classes = data.spec.kind == "classification"
    errors = (predicted != true).astype(np.float64) if classes else predicted - true
    structures = data.structures.take(test)
    rows = [
        {
            "position": position,
            "id": report.ids[position],
            "formula": reduced_formula(structures[position].numbers.tolist()),
            "n_atoms": int(count),
            "error": float(errors[position]),
        }
        for position, count in enumerate(structures.n_atoms)
    ]
    worst = np.argsort(-np.abs(errors), kind="stable")[:WORST]
    return {
        "by_element": _by_element(structures, np.abs(errors)),
        "rows": rows,
        "worst": [
            {**rows[position], "true": float(true[position]), "predicted": float(predicted[position])}
            for position in worst
        ],
    }


def _tested(report: FitReport, data: TaskData, test: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of the rows that the report has."""
    rest = iter(test.tolist())
    found = [
        next((row for row in rest if data.ids[row] == name and data.targets[row] == target), None)
        for name, target in zip(report.ids, report.targets, strict=True)
    ]
    if None in found:
        raise InputError(f"These are not the {len(report.ids)} test rows that the fit on {report.task} had.")
    return np.array(found, dtype=np.int64)


def _by_element(structures: StructureSet, errors: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Average absolute errors [n] over the structures that hold each element, by atomic number."""
    owner = np.repeat(np.arange(len(structures)), structures.n_atoms)
    pairs = np.unique(np.stack([structures.numbers.astype(np.int64), owner], axis=1), axis=0)
    elements, first = np.unique(pairs[:, 0], return_index=True)
    groups = np.split(errors[pairs[:, 1]], first[1:])
    return [
        {"element": SYMBOLS[number], "mae": float(group.mean()), "n": len(group)}
        for number, group in zip(elements, groups, strict=True)
    ]
