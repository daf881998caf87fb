"""A run's log: one file, one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moma_app.progress import Event, Step, Warned

LOG = "log.jsonl"
SOURCES = ("moma_app", "py.warnings", "lightning", "distributed")
logger = logging.getLogger("moma_app.run")


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        if event := getattr(record, "event", None):
            entry["event"] = event
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


@contextmanager
def run_log(path: Path, level: str) -> Iterator[None]:
    """Write what our code and its libraries log inside the block to a file, from a level on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Lines())
    handler.setLevel(level.upper())
    sources = [logging.getLogger(name) for name in SOURCES]
    before = [source.level for source in sources]
    for source in sources:
        source.addHandler(handler)
        if source.name.startswith("moma_app"):
            source.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        for source, old in zip(sources, before, strict=True):
            source.removeHandler(handler)
            source.setLevel(old)
        handler.close()


def log_event(event: Event) -> None:
    """Log an event: warnings as such, single steps of a counter for debugging only."""
    level = logging.INFO
    if isinstance(event, Warned):
        level = logging.WARNING
    elif isinstance(event, Step):
        level = logging.DEBUG
    logger.log(level, "%s", event.describe(), extra={"event": event.to_dict()})


def tail(path: Path, lines: int = 20) -> list[str]:
    """Return the last lines of a log; a missing file has none."""
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - 400 * lines - 20_000))
        content = stream.read().decode(errors="replace").splitlines()
    return content[-lines:]
