"""Peak memory of a piece of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


@dataclass
class PeakMemory:
    """Filled when the block ends; ``None`` where the system does not tell.

    Attributes:
        megabytes: on a GPU, memory allocated by PyTorch; on a CPU, resident memory of the
            process (everything it holds, the Python libraries included).
    """

    megabytes: float | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[PeakMemory]:
    """Measure the peak memory while the block runs."""
    peak = PeakMemory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.megabytes = torch.cuda.max_memory_allocated(device) / 2**20
        return
    resettable = _reset()
    yield peak
    if resettable:
        peak.megabytes = _high_water_mark()


def _reset() -> bool:
    """Set the kernel's high-water mark of resident memory back to the present value (Linux)."""
    try:
        RESET.write_text("5", encoding="ascii")
    except OSError:
        return False
    return STATUS.is_file()


def _high_water_mark() -> float | None:
    for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None
