"""Plans of experiments: how they stand, looked up once for all pages, and their starting beside the pages."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dashboards.services import get_jobs

if TYPE_CHECKING:
    from moma_app.experiments.estimate import Estimate
    from moma_app.experiments.plan import Plan
    from moma_app.experiments.standing import PlanStatus

FRESH = 1.0
"""Seconds for which all pages share one look at a plan."""
KEPT = 64
"""Plans whose last look is kept."""


@dataclass(frozen=True)
class Look:
    """A plan at one moment.

    Attributes:
        status: how its cells stand.
        left: time of those that are not done, on one worker; ``None`` if all are.
    """

    status: PlanStatus
    left: Estimate | None


@dataclass
class _Watched:
    """What this server knows of a plan."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    look: Look | None = None
    at: float = 0.0
    begins: bool = False
    halted: bool = False


_WATCHED: OrderedDict[str, _Watched] = OrderedDict()
_LOCK = threading.Lock()


def key_of(plan: Plan) -> str:
    """Return a text that equal plans share."""
    return json.dumps(plan.to_dict(), sort_keys=True)


def look_at(plan: Plan, *, anew: bool = False) -> Look:
    """Return how a plan stands. Reads the store: call it beside the page.

    Args:
        plan: which.
        anew: even if it was looked at a moment ago.

    Raises:
        MomaError: its cells cannot be listed; says why.
    """
    from moma_app.experiments.estimate import estimate
    from moma_app.experiments.standing import PlanStatus, progress

    watched = _watched(plan)
    with watched.lock:
        if anew or watched.look is None or time.monotonic() - watched.at > FRESH:
            jobs = get_jobs()
            status = progress(plan, jobs)
            open_cells = tuple(
                replace(cell, standing="missing") for cell in status.cells if cell.standing != "done"
            )
            left = estimate(PlanStatus(open_cells), jobs) if open_cells else None
            watched.look, watched.at = Look(status, left), time.monotonic()
        return watched.look


def begins(plan: Plan) -> bool:
    """Return whether this server is handing the cells of a plan to the workers."""
    return _watched(plan).begins


def begin(plan: Plan) -> None:
    """Start the cells of a plan that are missing or failed; returns when all are handed over.

    Raises:
        MomaError: one cannot be started; says why. Those before it go on.
    """
    from moma_app.experiments.standing import start, stop

    watched = _watched(plan)
    with watched.lock:
        if watched.begins:
            return
        watched.begins, watched.halted = True, False
    try:
        start(plan, get_jobs())
    finally:
        with watched.lock:
            watched.begins = False
        if watched.halted:  # somebody stopped it while cells were still handed over
            stop(plan, get_jobs())


def halt(plan: Plan) -> None:
    """Stop the cells of a plan that run or wait, and those that are being handed over."""
    from moma_app.experiments.standing import stop

    _watched(plan).halted = True
    stop(plan, get_jobs())


def _watched(plan: Plan) -> _Watched:
    key = key_of(plan)
    with _LOCK:
        watched = _WATCHED.setdefault(key, _Watched())
        _WATCHED.move_to_end(key)
        idle = [name for name, other in _WATCHED.items() if not other.begins]
        for name in idle[: max(0, len(_WATCHED) - KEPT)]:
            del _WATCHED[name]
        return watched
