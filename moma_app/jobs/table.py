"""Runs as a list that a notebook shows as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moma_app.text import brief, count

if TYPE_CHECKING:
    import pandas as pd

    from moma_app.jobs.record import Record


class RunList(tuple["Record", ...]):
    """Runs, newest first."""

    __slots__ = ()

    def __repr__(self) -> str:
        names = ", ".join(record.name for record in self[:3])
        return brief(self, f"of {count(len(self), 'run')}: {names}" if self else "of 0 runs")

    def _repr_html_(self) -> str:
        from moma_app.jobs.display import runs_html

        return runs_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a line for each run: ``run``, ``state``, ``unit``, ``task``, ``name``, times, and its metrics.

        ``created``, ``started`` and ``ended`` are times in UTC; ``seconds`` is of the last attempt.
        """
        import pandas as pd

        names = ("state", "unit", "task", "name", "created", "started", "ended", "seconds", "message")
        table = pd.DataFrame(
            [
                {"run": record.id, **{name: getattr(record, name) for name in names}, **record.metrics}
                for record in self
            ],
            columns=None if self else ["run", *names],
        )
        for name in ("created", "started", "ended"):
            table[name] = pd.to_datetime(table[name], unit="s", utc=True)
        return table
