"""The tracking store: whether runs can be recorded, and those recorded be read."""

from __future__ import annotations

import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from moma_app.config.places import SQLITE, without_password
from moma_app.doctor.finding import Finding, State
from moma_app.doctor.writing import why_not_writable

if TYPE_CHECKING:
    from moma_app.config import Settings

NAME = "tracking store"
PATIENCE = 3.0
"""Seconds for a server to answer, and for a lock on the file to be given up."""
READING = 20.0
"""Seconds for reading a whole database."""
CHANGE = "set tracking (MOMA_TRACKING) to another"


def check(settings: Settings) -> Iterator[Finding]:
    """Look at the store in the way that its kind allows."""
    uri = settings.tracking_uri
    scheme = urlsplit(uri).scheme
    if uri.startswith(SQLITE):
        file = uri.removeprefix(SQLITE).partition("?")[0]
        yield Finding(NAME, "ok", "in memory only") if file == ":memory:" else _sqlite(Path(file))
    elif scheme in ("http", "https"):
        yield _server(uri)
    elif scheme in ("", "file"):
        yield _folder(Path(unquote(urlsplit(uri).path) if scheme else uri))
    else:
        yield Finding(NAME, "ok", f"{without_password(uri)} (not checked here)")


def _sqlite(path: Path) -> Finding:
    reason = why_not_writable(path.parent)
    if reason is not None:
        return Finding(NAME, "problem", reason, f"Make the folder writable, or {CHANGE}.")
    if not path.exists():
        return Finding(NAME, "ok", f"{path} (made with the first run)")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", timeout=PATIENCE, uri=True)) as connection:
            deadline = time.monotonic() + READING
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            complaints = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as exc:
        return _unreadable(path, exc)
    if complaints == ["ok"]:
        return Finding(NAME, "ok", f"{path} ({path.stat().st_size / 2**20:.1f} MiB, sound)")
    return Finding(
        NAME, "problem", f"{path} is damaged: {' '.join('; '.join(complaints).split())}", _move(path)
    )


def _unreadable(path: Path, exc: sqlite3.Error) -> Finding:
    code = getattr(exc, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_INTERRUPT:
        return Finding(NAME, "ok", f"{path} (too large to check in {READING:.0f} s)")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        remedy = "Wait for the process that writes to it, or see which holds it with fuser."
        return Finding(NAME, "hint", f"{path} is locked by another process", remedy)
    if code == sqlite3.SQLITE_CANTOPEN:
        remedy = f"Make it a file that you may read and write, or {CHANGE}."
        return Finding(NAME, "problem", f"{path} cannot be opened ({exc})", remedy)
    return Finding(NAME, "problem", f"{path} cannot be read ({exc})", _move(path))


def _move(path: Path) -> str:
    return f"Put a copy from a backup in its place, or move {path.name} away: the next run makes a new one."


def _server(uri: str) -> Finding:
    shown = without_password(uri)
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=PATIENCE):  # noqa: S310 - http(s) only
            return Finding(NAME, "ok", f"{shown} (answers)")
    except urllib.error.HTTPError as exc:
        remedy = "See whether the address is that of an MLflow server, and whether it asks for a login."
        state: State = "problem" if exc.code >= 500 else "hint"
        return Finding(NAME, state, f"{shown} answers /health with status {exc.code}", remedy)
    except (OSError, ValueError, HTTPException) as exc:  # ValueError: the URI is none
        reason = getattr(exc, "reason", None) or exc
        text = f"{shown} does not answer as a server should within {PATIENCE:g} s ({reason})"
        return Finding(NAME, "problem", text, f"Start the server (mlflow server), or {CHANGE}.")


def _folder(path: Path) -> Finding:
    reason = why_not_writable(path)
    if reason is not None:
        return Finding(NAME, "problem", reason, f"Make the folder writable, or {CHANGE}.")
    return Finding(NAME, "ok", f"{path} (folder)")
