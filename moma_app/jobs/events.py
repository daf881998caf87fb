"""A run's events as they are written and read: one JSON object a line, numbered.

The file in the run's folder is the channel wherever the reader sees the worker's disk. A worker with
a disk of its own sends the same lines through Dask's scheduler too, see :mod:`moma_app.jobs.remote`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moma_app.progress import Event, Step, event_from_dict

EVENTS = "events.jsonl"
PAUSE = 0.25
"""Seconds between two steps of the same counter that are worth telling."""


@dataclass(frozen=True)
class Numbered:
    """An event with its number in the run, from 0, and when it was."""

    number: int
    time: float
    event: Event

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {"number": self.number, "time": self.time, **self.event.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Numbered:
        """Rebuild from :meth:`to_dict`.

        Raises:
            KeyError, TypeError: it is something else, or of a later version.
        """
        values = dict(data)
        return cls(int(values.pop("number")), float(values.pop("time")), event_from_dict(values))


class Writer:
    """Writes a run's events; safe to call from several threads.

    Args:
        path: the file; a run that is begun again goes on in it.
        send: also gets each line's content.
    """

    def __init__(self, path: Path, send: Callable[[dict[str, Any]], None] | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.last: Event | None = None
        self._send = send
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        _end_last_line(path)
        self._number = 1 + max((entry.number for entry in read(path)), default=-1)

    def __call__(self, event: Event) -> None:
        """Write an event; most steps of a fast counter are left out, its last one never."""
        with self._lock:
            self.last = event
            if isinstance(event, Step) and event.done < event.total:
                now = time.monotonic()
                if now - self._told.get(event.what, -PAUSE) < PAUSE:
                    return
                self._told[event.what] = now
            entry = Numbered(self._number, time.time(), event).to_dict()
            self._number += 1
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(entry) + "\n")
            if self._send is not None:
                self._send(entry)


def read(path: Path) -> list[Numbered]:
    """Return all events in a file, in order; a missing file has none."""
    return list(Reader(path).new())


class Reader:
    """Reads a file of events that still grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new(self) -> Iterator[Numbered]:
        """Yield what has been written since the last call; a line that is half there waits."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return
        whole, newline, _ = content.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.split(b"\n") if whole else ():
            try:
                yield Numbered.from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # cut by a killed writer, or an event of a later version of the package


def _end_last_line(path: Path) -> None:
    """End the line that a killed writer has left open, so that the next one starts anew."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb+") as stream:
            stream.seek(-1, 2)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
