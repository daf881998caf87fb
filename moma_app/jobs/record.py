"""What the tracking store says of a run, as a plain value."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from moma_app.jobs.identity import Process
from moma_app.jobs.states import OPEN, SHORT, STATES, State
from moma_app.progress import Event, event_from_dict
from moma_app.text import brief, seconds_text, shorten

PREFIX = "moma."
"""Of all our tags."""

HEARTBEAT = 5.0
"""Seconds between two signs of life of a run."""
SILENT_ELSEWHERE = 20.0
"""A run on another machine that has been silent for so many seconds is taken for dead."""
SILENT_HERE = 120.0
"""The same for a living process of this machine: it may be busy, stopped, or just out of a sleep."""


@dataclass(frozen=True)
class Record:
    """A run as the store knows it. Times are seconds since the epoch.

    Attributes:
        id: 32 hexadecimal digits; commands take the first few.
        name: for people.
        unit, task: what is done, and to which task.
        state: see :mod:`moma_app.jobs.states`; as recorded, not checked.
        message: why it failed, or what it is doing.
        digest: shared by runs that must give the same numbers.
        created: when it was recorded.
        started, ended: when its last attempt began and ended.
        host: name of the machine that works or worked on it.
        process: the process; of a queued run, the one that asked for it.
        queued: when it was asked for the last time.
        heartbeat: its last sign of life.
        attempts: how often it was begun.
        progress: the last event.
        facts: what the unit said of itself: hashes of data and hub, seed, hardware.
        metrics: last value of each metric.
        parameters: the unit's arguments, as text.
        scheduler, worker: addresses of the Dask processes, empty if inline.
        key: Dask's name of the order.
        handed_over: when it was sent to the scheduler.
        channel: where its events flow, ``file`` or ``dask``.
        cancelling: when somebody asked it to stop.
        version, commit: of the package that submitted it.
    """

    id: str
    name: str
    unit: str
    state: State
    task: str = ""
    message: str = ""
    digest: str = ""
    created: float = 0.0
    queued: float | None = None
    started: float | None = None
    ended: float | None = None
    host: str = ""
    process: Process | None = None
    heartbeat: float | None = None
    attempts: int = 0
    progress: Event | None = None
    facts: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    scheduler: str = ""
    worker: str = ""
    key: str = ""
    handed_over: float | None = None
    channel: str = "file"
    cancelling: float | None = None
    version: str = ""
    commit: str = ""

    def __repr__(self) -> str:
        took = "" if self.seconds is None or self.open else f" after {seconds_text(self.seconds)}"
        what = f"{self.id[:SHORT]}: {shorten(self.name, 60)}, {self.state}{took}"
        return brief(self, what)

    def _repr_html_(self) -> str:
        from moma_app.jobs.display import record_html

        return record_html(self)

    @property
    def open(self) -> bool:
        """Whether it may still change by itself."""
        return self.state in OPEN

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took, or has been going on."""
        if self.started is None:
            return None
        return max(0.0, (self.ended or time.time()) - self.started)

    @property
    def fraction(self) -> float | None:
        """Share of the present piece of work that is done, if known."""
        return None if self.progress is None else self.progress.fraction

    def silent_for(self, now: float) -> bool:
        """Return whether a running run's process must be taken for dead."""
        if self.process is None:
            return False
        if self.process.here:
            if not self.process.lives():
                return True
            limit = SILENT_HERE
        else:
            limit = SILENT_ELSEWHERE
        return self.heartbeat is not None and now - self.heartbeat > limit

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            **vars(self),
            "process": None if self.process is None else vars(self.process),
            "progress": None if self.progress is None else self.progress.to_dict(),
            "seconds": self.seconds,
        }

    @classmethod
    def from_tags(
        cls,
        run_id: str,
        name: str,
        created: float,
        tags: Mapping[str, str],
        *,
        metrics: Mapping[str, float] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Record | None:
        """Build a record from a run's tags; ``None`` if the run is not one of ours."""
        ours = {key.removeprefix(PREFIX): value for key, value in tags.items() if key.startswith(PREFIX)}
        if ours.get("state") not in STATES:
            return None
        return cls(
            id=run_id,
            name=name,
            unit=ours.get("unit", ""),
            state=cast("State", ours["state"]),
            task=ours.get("task", ""),
            message=ours.get("message", ""),
            digest=ours.get("digest", ""),
            created=created,
            queued=_number(ours.get("queued")),
            started=_number(ours.get("started")),
            ended=_number(ours.get("ended")),
            host=ours.get("host", ""),
            process=_process(ours.get("process")),
            heartbeat=_number(ours.get("heartbeat")),
            attempts=int(_number(ours.get("attempts")) or 0),
            progress=_event(ours.get("progress")),
            facts={
                key.removeprefix("fact."): value for key, value in ours.items() if key.startswith("fact.")
            },
            metrics=dict(metrics or {}),
            parameters=dict(parameters or {}),
            scheduler=ours.get("scheduler", ""),
            worker=ours.get("worker", ""),
            key=ours.get("key", ""),
            handed_over=_number(ours.get("handed_over")),
            channel=ours.get("channel", "file"),
            cancelling=_number(ours.get("cancel")),
            version=ours.get("version", ""),
            commit=ours.get("commit", ""),
        )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _process(text: str | None) -> Process | None:
    try:
        return Process(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        return None


def _event(text: str | None) -> Event | None:
    """Read an event; one of a later version of the package is not known here, and is left out."""
    try:
        return event_from_dict(json.loads(text)) if text else None
    except (ValueError, TypeError, KeyError):
        return None
