"""States of a run, how MLflow calls them, and how much of a run's id people see."""

from __future__ import annotations

from typing import Literal, get_args

State = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
"""What has become of a run.

``queued``: waits for a worker. ``running``: a process works on it. ``finished``: done, the result is kept.
``failed``: ended by an error, which is kept in one sentence with the log. ``cancelled``: somebody stopped it.
``interrupted``: its process is gone (killed, power cut); it can be resumed.
"""

STATES: tuple[State, ...] = get_args(State)
OPEN: frozenset[State] = frozenset({"queued", "running"})
"""States that change without anybody's doing."""
RESUMABLE: frozenset[State] = frozenset({"failed", "cancelled", "interrupted"})

SHORT = 8
"""Digits of a run's id that people see."""

MLFLOW_STATUS: dict[State, str] = {
    "queued": "SCHEDULED",
    "running": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
    "cancelled": "KILLED",
    "interrupted": "KILLED",
}
