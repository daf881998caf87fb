"""What the machine is, and how many operations a second it attains at best."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from moma_app.bench.job import Job
from moma_app.bench.work.base import Work
from moma_app.bench.work.device import finish
from moma_app.runtime import describe_hardware

SIDE = {"cpu": 2048, "cuda": 16384}
"""Rows of the square matrices: large enough that only arithmetic counts."""


def ours(job: Job) -> Work:
    """Multiply two large float32 matrices; where a GPU has TF32, it stays off, as PyTorch has it."""
    side = SIDE[job.device]
    left, right = (torch.rand(side, side, device=job.device) for _ in range(2))

    def run() -> Tensor:
        product = left @ right
        finish(job.device)
        return product

    return Work(run, units=1, warm_up=run, gflop=2 * side**3 / 1e9, facts=_facts(job))


def _facts(job: Job) -> dict[str, Any]:
    library = re.search(r"(Math Kernel Library|OpenBLAS|BLIS)\D*([\d.]+)", torch.__config__.show())
    return {
        "processor": describe_hardware(torch.device(job.device)),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.cuda.is_available(),
        "torch": torch.__version__,
        "chgnet": version("chgnet"),
        "blas": " ".join(library.groups()) if library else "unknown",
    }
