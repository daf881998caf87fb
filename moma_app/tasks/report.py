"""What an import found: rows read, rows refused and why, and the target that came out."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from moma_app.errors import InputError
from moma_app.tasks.data import TaskData
from moma_app.tasks.reasons import Reason
from moma_app.tasks.task import Task
from moma_app.text import brief, count

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Refusal:
    """One row that was not taken.

    Attributes:
        row: number of the row, counted from 1 and without a header line.
        id: its id as far as it is known.
        reason: what is wrong, in words.
        code: the kind of reason, for counting.
        line: the line of the file where the row begins, from 1; None where the file has no lines.
    """

    row: int
    id: str
    reason: str
    code: Reason
    line: int | None = None

    def __str__(self) -> str:
        return f"row {self.row} ({self.id}): {self.reason}"


@dataclass(frozen=True)
class ImportReport:
    """Result of an import.

    Attributes:
        name: name of the task.
        task: the new task; None if nothing was written.
        n_read: rows read, refused ones included.
        refused: the refused rows in the order of the file.
        notes: what was done to the rows that the user should know.
        target_summary: statistics of the accepted targets, after the transform.
        unit: unit of these targets.
        path: the file written.
        data: the accepted rows, to be looked at; None if there are none.
    """

    name: str
    task: Task | None
    n_read: int
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    target_summary: dict[str, Any] = field(default_factory=dict)
    unit: str = ""
    path: str | None = None
    data: TaskData | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        return brief(
            self, f"{self.name}: {count(self.n_accepted, 'row')} taken, {len(self.refused):,} refused"
        )

    def _repr_html_(self) -> str:
        from moma_app.tasks.display import import_html

        return import_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a line for each refused row: ``row`` (from 1), ``id``, ``reason``, ``code``, ``line``."""
        import pandas as pd

        names = ["row", "id", "reason", "code", "line"]
        return pd.DataFrame([asdict(refusal) for refusal in self.refused], columns=names)

    @property
    def n_accepted(self) -> int:
        """Rows that were taken."""
        return self.n_read - len(self.refused)

    def counts(self) -> dict[str, int]:
        """Return the number of refused rows per kind of reason, most frequent first."""
        return dict(Counter(refusal.code for refusal in self.refused).most_common())

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "name": self.name,
            "written": self.task is not None,
            "path": self.path,
            "n_read": self.n_read,
            "n_accepted": self.n_accepted,
            "n_refused": len(self.refused),
            "refused": [asdict(refusal) for refusal in self.refused],
            "refused_by_reason": self.counts(),
            "notes": list(self.notes),
            "unit": self.unit,
            "target_summary": self.target_summary,
        }


class ImportRefusedError(InputError):
    """A file was refused as a whole; ``report`` tells what was wrong with its rows."""

    def __init__(self, message: str, report: ImportReport) -> None:
        self.report = report
        super().__init__(message)
