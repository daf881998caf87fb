"""Describe the machine, and measure what it attains at best."""

from __future__ import annotations

import os
import platform
from dataclasses import replace

from moma_app.bench.cases import Case
from moma_app.bench.result import Machine, Side
from moma_app.bench.run import Conduct, run_case
from moma_app.bench.sizes import Sizes

PEAK = Case(
    name="machine",
    work="multiplying large float32 matrices",
    against=None,
    unit="product",
    sizes=Sizes(),
    builder="machine",
)

PRODUCTS = 10
"""The fastest of so many products counts: what else the machine does only ever slows one down."""


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def examine(threads: int) -> Machine:
    """Measure the float32 rate of a large matrix product, on the CPU and on a CUDA GPU if there is one."""
    conduct = Conduct(repeats=PRODUCTS, threads=threads)
    cpu = run_case(PEAK, conduct).ours
    peaks = {"cpu": _best(cpu)}
    gpu = None
    if cpu.facts["cuda"]:
        found = run_case(replace(PEAK, device="cuda"), conduct).ours
        peaks["cuda"] = _best(found)
        gpu = str(found.facts["processor"])
    return Machine(
        cpu=str(cpu.facts["processor"]),
        cores=usable_cores(),
        threads=threads,
        memory_mb=_memory(),
        cuda=gpu,
        peak_gflops=peaks,
        versions={"python": platform.python_version()}
        | {name: str(cpu.facts[name]) for name in ("torch", "chgnet", "blas", "instructions")},
    )


def _best(side: Side) -> float:
    assert side.gflops is not None
    return side.gflops * side.median / side.minimum


def _memory() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    except (ValueError, OSError, AttributeError):  # not on Windows
        return None
