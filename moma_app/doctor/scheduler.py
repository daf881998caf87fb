"""Where long work runs: local workers, or a cluster that must answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from moma_app.doctor.finding import Finding
from moma_app.jobs.service import service_folder

if TYPE_CHECKING:
    from moma_app.config import Settings

NAME = "scheduler"
PATIENCE = 3.0
"""Seconds for a scheduler to accept a connection."""
START = "Start the cluster (dask scheduler), correct the setting scheduler, or set it to nothing for local workers."


class _UnusableError(ValueError):
    """A scheduler file or an address that says nothing of use."""


def check(settings: Settings) -> Iterator[Finding]:
    """Connect to the scheduler that the settings name, or to that of the local workers if they run."""
    if settings.engine == "inline":
        yield Finding(NAME, "ok", "none: work runs in the process that asks for it (engine = inline)")
    elif settings.scheduler is None:
        yield _local(service_folder(settings) / "scheduler.json")
    else:
        yield _cluster(settings.scheduler)


def _local(file: Path) -> Finding:
    if not file.exists():
        return Finding(NAME, "ok", "local workers start on first use")
    try:
        address = read_scheduler_file(file)
        _connect(address)
    except (OSError, ValueError) as exc:
        value = f"{file} is left over from local workers that have ended ({exc})"
        return Finding(NAME, "hint", value, "Nothing need be done: the next job starts new workers.")
    return Finding(NAME, "ok", f"local workers at {address}")


def _cluster(scheduler: str) -> Finding:
    try:
        address = scheduler if "://" in scheduler else read_scheduler_file(Path(scheduler))
        if urlsplit(address).scheme not in ("tcp", "tls"):
            return Finding(NAME, "ok", f"{address} (only tcp and tls addresses are checked)")
        _connect(address)
    except FileNotFoundError:
        return Finding(NAME, "problem", f"there is no scheduler file {scheduler}", START)
    except _UnusableError as exc:
        return Finding(NAME, "problem", str(exc), START)
    except OSError as exc:
        return Finding(NAME, "problem", f"{scheduler} accepts no connection ({exc})", START)
    return Finding(NAME, "ok", f"{address} (answers)")


def read_scheduler_file(path: Path) -> str:
    """Return the address in a Dask scheduler file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no scheduler file.
    """
    try:
        address = json.loads(path.read_text(encoding="utf-8"))["address"]
    except (ValueError, KeyError, TypeError) as exc:
        raise _UnusableError(f"{path} is no scheduler file: it is no JSON object with an address") from exc
    return str(address)


def _connect(address: str) -> None:
    """Open a TCP connection and close it again.

    Raises:
        OSError: nobody accepts it in time.
        ValueError: the address has no host and port.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise _UnusableError(f"{address} is no address such as tcp://host:8786") from exc
    if host is None or port is None:
        raise _UnusableError(f"{address} is no address such as tcp://host:8786")
    socket.create_connection((host, port), timeout=PATIENCE).close()
