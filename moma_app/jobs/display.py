"""What a notebook shows of runs: state, numbers, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from moma_app.display import bar, code, facts, note, rows_table, show
from moma_app.jobs.states import RESUMABLE, SHORT, State
from moma_app.markup import Markup, element, fold
from moma_app.text import count, number, one_line, seconds_text

if TYPE_CHECKING:
    from moma_app.jobs.record import Record

SHOWN = 12
"""Metrics or parameters that are shown at once."""
MOST = 30
"""Runs of a list that are shown."""
_CLASSES: dict[State, str] = {"finished": "good", "failed": "bad", "interrupted": "bad"}


def record_html(record: Record) -> str:
    """Show a run."""
    return show(
        "Run",
        record.name,
        record.id[:SHORT],
        facts(
            ("", state(record)),
            ("", "" if record.fraction is None or not record.open else bar(record.fraction)),
            ("unit", record.unit),
            ("task", record.task),
            ("started", when(record.started or record.created)),
            ("took" if record.ended else "so far", duration(record)),
            ("attempts", str(record.attempts) if record.attempts > 1 else ""),
            ("on", record.host),
        ),
        note(one_line(record.message, 400), class_="bad" if record.state == "failed" else "muted")
        if record.message
        else "",
        facts(*[(name, number(value)) for name, value in record.metrics.items()][:SHOWN]),
        _fold("parameters", record.parameters),
        _fold("facts", record.facts),
        _next(record),
    )


def runs_html(records: Sequence[Record]) -> str:
    """Show a list of runs."""
    open_runs = sum(record.open for record in records)
    rows = [
        (
            code(record.id[:SHORT]),
            state(record),
            one_line(record.name, 60),
            when(record.started or record.created),
            duration(record),
            _some_metrics(record),
        )
        for record in records[:MOST]
    ]
    return show(
        "Runs",
        count(len(records), "run"),
        f"of which {open_runs} not yet ended" if open_runs else "",
        rows_table(
            ("run", "state", "name", "started", "time", "metrics"),
            rows,
            numbers=(4,),
            total=len(records),
            what="run",
        ),
        "" if records else note("No run was found."),
    )


def state(record: Record) -> Markup:
    """Return a run's state, in the colour of what it means."""
    return element("span", record.state, class_=_CLASSES.get(record.state, "muted"))


def when(seconds: float | None) -> str:
    """Return a time in the machine's own zone; empty if it is not known."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def duration(record: Record) -> str:
    """Return how long a run took; empty if it has not begun."""
    return "" if record.seconds is None else seconds_text(record.seconds)


def _some_metrics(record: Record) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in list(record.metrics.items())[:2])


def _fold(name: str, values: dict[str, str]) -> Markup:
    """Return what a run was given or said, behind its name."""
    if not values:
        return Markup()
    rows = [(key, one_line(value, 120)) for key, value in values.items()]
    return fold(f"{len(values)} {name}", rows_table((name, ""), rows))


def _next(record: Record) -> Markup:
    """Return what can be done with a run now."""
    short = record.id[:SHORT]
    if record.state in RESUMABLE:
        how = f'Jobs().resume("{record.id}")'
        return note("Go on from its last checkpoint: ", code(how), " or ", code(f"moma runs resume {short}"))
    if record.state == "finished":
        return note("What it returned: ", code(f'Jobs().result("{record.id}")'))
    return note("Stop it: ", code(f'Jobs().cancel("{record.id}")'), " or ", code(f"moma runs cancel {short}"))
