"""The GPU: its name, memory and driver, or why there is none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.doctor.finding import Finding, State

if TYPE_CHECKING:
    from moma_app.config import Settings

DRIVER = Path("/proc/driver/nvidia/version")
PATIENCE = 5
"""Seconds for nvidia-smi to answer."""
CPU_BUILD = (
    "Install a PyTorch built for CUDA (https://pytorch.org/get-started), such as that of PyPI on Linux."
)


def check(settings: Settings) -> Iterator[Finding]:
    """Name every GPU that PyTorch can use, or say why it can use none."""
    import torch

    if torch.cuda.is_available():
        driver = nvidia_driver()
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            free, _ = torch.cuda.mem_get_info(index)
            value = (
                f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB ({free / 2**30:.0f} GiB free), "
                f"CUDA {torch.version.cuda}" + (f", driver {driver}" if driver else "")
            )
            yield Finding(f"GPU {index}", "ok", value)
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "ok", "Apple GPU (MPS); auto does not take it: ask with --device mps")
    else:
        yield _none(settings.device, cpu_build=torch.version.cuda is None and torch.version.hip is None)


def _none(device: str, *, cpu_build: bool) -> Finding:
    """Say why there is no GPU; that is a problem only if the settings ask for one."""
    driver = nvidia_driver()
    if driver is None:
        value, remedy = "none: there is no NVIDIA driver on this machine", "Set device = auto or cpu."
    elif cpu_build:
        value, remedy = f"driver {driver}, but this PyTorch is built for CPUs only", CPU_BUILD
    else:
        value = f"driver {driver}, but PyTorch sees no GPU"
        remedy = "See what nvidia-smi says, whether CUDA_VISIBLE_DEVICES hides it, and whether the driver is too old."
    if device in ("cuda", "mps"):
        return Finding("GPU", "problem", f"{value}, and device = {device} asks for one", remedy)
    state: State = "ok" if driver is None else "hint"
    return Finding("GPU", state, value, "" if driver is None else remedy)


def nvidia_driver() -> str | None:
    """Return the version of the NVIDIA driver, or ``None`` if there is none (or it does not answer)."""
    command = shutil.which("nvidia-smi")
    if command is not None:
        try:
            done = subprocess.run(  # noqa: S603 - the driver's own tool
                [command, "--query-gpu=driver_version", "--format=csv,noheader"],
                check=True,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            return next(iter(done.stdout.split()), None)
    try:
        words = DRIVER.read_text(encoding="ascii", errors="replace").split("Kernel Module")[-1].split()
    except OSError:
        return None
    return next((word for word in words if word[0].isdigit()), "unknown")
