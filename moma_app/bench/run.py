"""Lead the workers of a case: both sides take turns, and what they say becomes a result."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from moma_app.bench.cases import Case
from moma_app.bench.inputs import Chosen, choose_structures, write_inputs
from moma_app.bench.job import Job
from moma_app.bench.result import Agreement, CaseResult, Side
from moma_app.bench.session import Session
from moma_app.progress import Listener, Step, silent


@dataclass(frozen=True)
class Conduct:
    """How to measure.

    Attributes:
        repeats: of each side.
        threads: CPU threads of each worker.
        flush_reference: flush denormal numbers to zero on the other side too.
        profile: profile our side even where the bar is reached.
        peak_gflops: operations a second in 1e9 that the machine attains at best, by device.
    """

    repeats: int = 3
    threads: int = 1
    flush_reference: bool = False
    profile: bool = False
    peak_gflops: Mapping[str, float] = field(default_factory=dict)


def run_case(
    case: Case, conduct: Conduct, progress: Listener = silent, *, chosen: Chosen | None = None
) -> CaseResult:
    """Measure one case.

    Each side has a process of its own. Both get ready, warm up, and then take turns, so that
    whatever else the machine does falls on both.

    Args:
        case: what to measure.
        conduct: how.
        progress: listener.
        chosen: structures to use instead of those of the case's task.

    Raises:
        DataNotFoundError: the data of the case's task is not on this machine.
        MomaError: a worker failed.
    """
    with tempfile.TemporaryDirectory(prefix="moma-bench-") as folder, ExitStack() as stack:
        case, inputs = _prepare(case, Path(folder), chosen)
        sessions = {
            side: stack.enter_context(Session(_job(case, side, inputs, Path(folder), conduct)))
            for side in case.sides
        }
        for session in sessions.values():
            session.wait_until_ready()
        total = len(sessions) * (conduct.repeats + 1)
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            progress(Step(what=case.name, done=done, total=total, fraction=done / total))

        warm_ups: dict[str, float] = {}
        seconds: dict[str, list[float]] = {side: [] for side in sessions}
        for side, session in sessions.items():
            warm_ups[side] = session.warm_up()
            count()
        for _ in range(conduct.repeats):
            for side, session in sessions.items():
                seconds[side].append(session.run())
                count()
        ends = {side: session.end() for side, session in sessions.items()}
        peak = conduct.peak_gflops.get(case.device)
        sides = {side: _side(seconds[side], warm_ups[side], ends[side], peak) for side in sessions}
        result = CaseResult(
            case,
            sides["ours"],
            sides.get("theirs"),
            _agreement(ends, case.tolerance) if len(ends) > 1 else None,
        )
        if conduct.profile or result.reached is False:
            result = replace(result, profile=tuple(sessions["ours"].profile()))
        return result


def _prepare(case: Case, folder: Path, chosen: Chosen | None) -> tuple[Case, str | None]:
    """Write the inputs; return the case with the sizes that it will have, and the file."""
    if chosen is None and case.task is None:
        return case, None
    structures, targets = chosen or choose_structures(case)
    path = folder / "inputs.safetensors"
    write_inputs(path, structures, targets)
    return replace(case, sizes=replace(case.sizes, structures=len(structures))), str(path)


def _job(case: Case, side: str, inputs: str | None, folder: Path, conduct: Conduct) -> Job:
    scratch = folder / side
    scratch.mkdir()
    return Job(
        builder=case.builder,
        side=side,
        sizes=case.sizes,
        threads=conduct.threads,
        device=case.device,
        inputs=inputs,
        scratch=str(scratch),
        flush_reference=conduct.flush_reference,
    )


def _side(seconds: Sequence[float], warm_up: float, end: dict[str, Any], peak: float | None) -> Side:
    units: float = end["units"]
    each = [value / units for value in seconds]
    median = statistics.median(each)
    idle, most = end["idle_mb"], end["peak_mb"]
    gflops = None if end["gflop"] is None else end["gflop"] / (median * units)
    return Side(
        median=median,
        minimum=min(each),
        maximum=max(each),
        repeats=tuple(each),
        units=units,
        warm_up=warm_up,
        peak_mb=most,
        work_mb=None if idle is None or most is None else max(0.0, most - idle),
        gflops=gflops,
        peak_share=None if gflops is None or not peak else gflops / peak,
        facts=end["facts"],
    )


def _agreement(ends: dict[str, dict[str, Any]], tolerance: float) -> Agreement | None:
    ours, theirs = (np.asarray(ends[side]["answer"]) for side in ("ours", "theirs"))
    if not len(ours) or not len(theirs):
        return None
    if ours.shape != theirs.shape:
        return Agreement(math.inf, tolerance)
    scale = float(np.abs(theirs).max()) or 1.0
    return Agreement(float(np.abs(ours - theirs).max()) / scale, tolerance)
