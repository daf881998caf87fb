"""Structures with what was predicted for them, as plain rows that a table shows and sorts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moma_app.errors import InputError
from moma_app.formulas import reduced_formula
from moma_app.plots.text import column, plain, shorten, with_unit
from moma_app.structures import Crystal

if TYPE_CHECKING:
    from moma_app.training.predictor import Prediction


@dataclass(frozen=True, eq=False)
class StructureRow:
    """A structure and what was predicted for it.

    Attributes:
        label: its id or file.
        formula: reduced formula.
        n_atoms: in the cell.
        structure: to be drawn; ``None`` if it was not kept.
        value: predicted, in ``unit``; ``None`` if nothing was.
        std: standard deviation of the prediction, where there is one.
        target: true value, where it is known.
        property, unit: what was predicted.
        module: that predicted it, of a hub's predictions.
        note: what else is to be said of it.
    """

    label: str
    formula: str
    n_atoms: int
    structure: Crystal | None = None
    value: float | None = None
    std: float | None = None
    target: float | None = None
    property: str = ""
    unit: str = ""
    module: str = ""
    note: str = ""


@dataclass(frozen=True)
class Order:
    """An order of rows: by what, and which way."""

    key: Callable[[StructureRow], Any]
    falling: bool = False


ORDERS: dict[str, Order] = {
    "As given": Order(lambda _: 0),
    "Lowest first": Order(lambda row: np.inf if row.value is None else row.value),
    "Highest first": Order(lambda row: -np.inf if row.value is None else row.value, falling=True),
    "Most certain first": Order(lambda row: np.inf if row.std is None else row.std),
    "Largest error first": Order(
        lambda row: -np.inf if row.value is None or row.target is None else abs(row.value - row.target),
        falling=True,
    ),
    "Formula": Order(lambda row: row.formula),
}


def rows_of(
    structures: Iterable[Any],
    prediction: Prediction | None = None,
    *,
    labels: Sequence[str] | None = None,
    targets: Sequence[float] | None = None,
    property: str = "",  # noqa: A002 - what materials scientists call it
) -> list[StructureRow]:
    """Return a row for each structure.

    Args:
        structures: pymatgen, ASE or ``Crystal``.
        prediction: for them, in the same order.
        labels: their names; by default numbers from 1.
        targets: true values, in the prediction's unit.
        property: that was predicted.

    Raises:
        InputError: the numbers of structures, predictions, labels and targets differ, or a structure cannot be used.
    """
    crystals = [Crystal.from_any(each) for each in structures]
    n = len(crystals)
    for what, given in (
        ("predictions", None if prediction is None else prediction.values),
        ("labels", labels),
        ("targets", targets),
    ):
        if given is not None and len(given) != n:
            raise InputError(f"There are {n} structures, but {len(given)} {what}: give one for each.")
    stds = None if prediction is None else prediction.std
    return [
        StructureRow(
            label=f"{number + 1}" if labels is None else str(labels[number]),
            formula=reduced_formula(crystal.numbers.tolist()),
            n_atoms=len(crystal),
            structure=crystal,
            value=None if prediction is None else float(prediction.values[number]),
            std=None if stds is None else float(stds[number]),
            target=None if targets is None else float(targets[number]),
            property=property,
            unit="" if prediction is None else prediction.unit,
        )
        for number, crystal in enumerate(crystals)
    ]


def rows_of_result(result: Mapping[str, Any]) -> list[StructureRow]:
    """Return the rows of what the unit ``predict`` returned.

    Raises:
        InputError: it is something else.
    """
    try:
        crystals = [
            Crystal(
                np.array(each["numbers"], dtype=np.int16),
                np.array(each["cell"], dtype=np.float64),
                np.array(each["frac_coords"], dtype=np.float64),
            )
            for each in result["structures"]
        ]
        return [
            StructureRow(
                label=row["file"],
                formula=row["formula"],
                n_atoms=row["n_atoms"],
                structure=crystals[row["structure"]] if row["structure"] < len(crystals) else None,
                value=row["value"],
                std=row["std"],
                property=row["property"],
                unit=row["unit"],
                module=row["module"],
                note=row["note"],
            )
            for row in result["rows"]
        ]
    except (KeyError, TypeError) as exc:
        raise InputError(
            "This is no result of a prediction: give structures, or what `moma predict` returned."
        ) from exc


def found(rows: Iterable[StructureRow], text: str, order: str) -> list[StructureRow]:
    """Return the rows that hold all words of a text, in an order of :data:`ORDERS`; equals stay as given."""
    words = text.casefold().split()
    wanted = [
        row
        for row in rows
        if all(word in f"{row.label} {row.formula} {row.module} {row.property}".casefold() for word in words)
    ]
    by = ORDERS[order]
    return sorted(wanted, key=by.key, reverse=by.falling)


def cells(rows: Sequence[StructureRow]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the texts of a table of rows; columns that would be empty are left out."""
    units = {row.unit for row in rows}
    unit = units.pop() if len(units) == 1 else ""
    values = (
        column([row.value for row in rows], 4)
        if unit or len(units) == 0
        else [_number(row.value) for row in rows]
    )
    columns = {
        "Structure": [shorten(plain(row.label), 24) for row in rows],
        "Formula": [shorten(row.formula, 18) for row in rows],
        "Atoms": [f"{row.n_atoms}" for row in rows],
        "Property": [shorten(plain(row.property), 26) for row in rows]
        if len({row.property for row in rows}) > 1
        else [],
        with_unit("Predicted", unit): values if any(row.value is not None for row in rows) else [],
        "± std": [_number(row.std, 2) for row in rows] if any(row.std is not None for row in rows) else [],
        with_unit("True", unit): [_number(row.target) for row in rows]
        if any(row.target is not None for row in rows)
        else [],
        "Unit": [row.unit for row in rows] if not unit and any(row.unit for row in rows) else [],
        "Module": [shorten(row.module, 24) for row in rows] if any(row.module for row in rows) else [],
    }
    kept = {name: texts for name, texts in columns.items() if texts}
    return list(kept), [list(line) for line in zip(*kept.values(), strict=True)] if rows else []


def _number(value: float | None, digits: int = 4) -> str:
    from moma_app.plots.text import number

    return number(value, digits)


def padded(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return head and lines as texts whose columns stand below one another in a font of even width."""
    right = [name.startswith(("Predicted", "True", "±", "Atoms")) for name in head]
    widths = [max(len(line[place]) for line in (head, *lines)) for place in range(len(head))]
    return [
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )
        for line in (head, *lines)
    ]
