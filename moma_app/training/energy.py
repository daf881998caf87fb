"""Energy of a piece of work, where the machine has a counter that may be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

COUNTERS = Path("/sys/class/powercap")
"""Intel's and AMD's running energy counters (RAPL), one folder for each processor package."""
_PACKAGE = re.compile(r"intel-rapl:\d+")


@dataclass
class Energy:
    """Filled when the block ends; ``None`` where the machine does not tell.

    Attributes:
        watt_hours: of the whole processor packages, or of the GPU, whoever used them.
    """

    watt_hours: float | None = None


@contextmanager
def energy_used(device: torch.device, counters: Path = COUNTERS) -> Iterator[Energy]:
    """Measure the energy that the processors, or the CUDA GPU, use while the block runs."""
    energy = Energy()
    if device.type == "cuda":
        before = _gpu_joules(device)
        yield energy
        after = _gpu_joules(device)
        if before is not None and after is not None:
            energy.watt_hours = (after - before) / 3600
        return
    packages = _packages(counters)
    first = [_read(package / "energy_uj") for package in packages]
    yield energy
    total = 0.0
    for package, start in zip(packages, first, strict=True):
        end, largest = _read(package / "energy_uj"), _read(package / "max_energy_range_uj")
        if start is None or end is None or (end < start and largest is None):
            return
        total += end - start if end >= start else end - start + (largest or 0)  # the counter began anew
    if packages:
        energy.watt_hours = total / 3.6e9


def _packages(counters: Path) -> list[Path]:
    if not counters.is_dir():
        return []
    return sorted(path for path in counters.iterdir() if _PACKAGE.fullmatch(path.name))


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # only root may read it on many machines
        return None


def _gpu_joules(device: torch.device) -> float | None:
    """Return the GPU's energy counter in joules (NVML, through the package nvidia-ml-py if it is there)."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        index = torch.cuda.current_device() if device.index is None else device.index
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(index).uuid}")
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except pynvml.NVMLError:
        return None
