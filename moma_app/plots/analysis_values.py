"""Where the errors of a fit are: by element, by cell size, and the worst structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moma_app.errors import InputError


@dataclass(frozen=True)
class ElementMae:
    """Mean absolute error of the ``n`` test structures that hold an element."""

    element: str
    mae: float
    n: int


@dataclass(frozen=True)
class TestedRow:
    """Error (predicted - true) of one test structure, with its number of atoms in the cell.

    ``position`` is its place among the test rows; ids need not be unique.
    """

    position: int
    id: str
    formula: str
    n_atoms: int
    error: float


@dataclass(frozen=True)
class WorstRow(TestedRow):
    """A test structure with one of the largest errors, and its values."""

    true: float
    predicted: float


@dataclass(frozen=True)
class ErrorAnalysis:
    """Where the errors of a fit are, in the task's unit.

    Attributes:
        by_element: elements that occur in the test rows.
        rows: all test rows.
        worst: the rows with the largest errors, worst first.
    """

    by_element: list[ElementMae]
    rows: list[TestedRow]
    worst: list[WorstRow]

    @classmethod
    def from_dict(cls, data: Mapping[str, Sequence[Mapping[str, Any]]]) -> ErrorAnalysis:
        """Build the analysis from its plain form, as the engine and a run's ``result.json`` give it.

        Raises:
            InputError: a part or a field is missing or not known.
        """
        try:
            return cls(
                by_element=[ElementMae(**item) for item in data["by_element"]],
                rows=[TestedRow(**item) for item in data["rows"]],
                worst=[WorstRow(**item) for item in data["worst"]],
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"The error analysis of this fit cannot be read: {error}.") from error
