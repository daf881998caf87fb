"""One side of a case, in a process of its own: ``python -m moma_app.bench.worker JOB``.

The leader (:mod:`moma_app.bench.session`) writes one command a line to standard input; each is
answered by one line of JSON on standard output. The process ends with its input.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from moma_app.bench.job import Job
from moma_app.errors import MomaError


def main(argument: str) -> int:
    """Serve one job; return the exit code."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is not an answer

    def tell(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        _serve(Job.from_json(argument), tell)
    except MomaError as exc:
        tell({"error": str(exc)})
        return 1
    except (KeyboardInterrupt, BrokenPipeError):  # the leader has said, or will say, what happened
        return 128 + signal.SIGINT
    return 0


def _serve(job: Job, tell: Callable[[dict[str, Any]], None]) -> None:
    import torch

    from moma_app.runtime import prepare
    from moma_app.training.memory import peak_memory

    torch.set_num_threads(job.threads)
    if job.side == "ours" or job.flush_reference:
        prepare()
    device = torch.device(job.device)
    work = getattr(import_module(f"moma_app.bench.work.{job.builder}"), job.side)(job)
    _give_back_memory()
    with peak_memory(device) as idle:
        pass
    tell({"ready": True})
    with peak_memory(device) as peak:
        for command in map(str.strip, sys.stdin):
            if command == "end":
                break
            started = time.perf_counter()
            (work.warm_up if command == "warm-up" else work.run)()
            tell({"seconds": time.perf_counter() - started})
        else:
            return
    answer = np.asarray(work.answer(), dtype=np.float64).reshape(-1).tolist()
    tell(
        {
            "units": work.units,
            "gflop": work.gflop,
            "idle_mb": idle.megabytes,
            "peak_mb": peak.megabytes,
            "answer": answer,
            "facts": work.facts,
        }
    )
    if sys.stdin.readline().strip() == "profile":
        from moma_app.bench.profile import profile

        tell({"profile": profile(work.run, job.device)})


def _give_back_memory() -> None:
    """Return freed memory to the system, so that what the work takes is not hidden in it."""
    gc.collect()
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
