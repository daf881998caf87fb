"""The CPU: its name and cores, the C compiler, the kernels built with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from moma_app.doctor.finding import Finding, State

if TYPE_CHECKING:
    from moma_app.config import Settings

INSTALL = "Install one (Debian, Ubuntu: apt install gcc; conda: conda install c-compiler)."


def check_cpu(settings: Settings) -> Iterator[Finding]:
    """Name the processor and say how many of its cores this process may use."""
    import joblib
    import torch

    from moma_app.runtime import describe_hardware

    name = describe_hardware(torch.device("cpu")).rpartition(",")[0]
    cores = joblib.cpu_count()  # heeds affinity and the limits of containers
    threads = settings.threads or torch.get_num_threads()
    value = f"{name}; {cores} usable {'cores' if cores > 1 else 'core'}, {_threads(threads)}"
    if threads > cores:
        remedy = (
            f"Set threads = {cores} (MOMA_THREADS={cores}): threads that share a core wait for each other."
        )
        yield Finding("CPU", "hint", value, remedy)
    else:
        yield Finding("CPU", "ok", value)


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''} for networks"


def check_compiler(settings: Settings) -> Iterator[Finding]:
    """Say which C compiler builds the kernels."""
    from moma_app.native.build import COMPILERS

    candidates = (os.environ.get("CC", ""), *COMPILERS)
    found = next((path for name in candidates if name and (path := shutil.which(name))), None)
    if found is not None:
        yield Finding("C compiler", "ok", found)
    elif settings.kernel == "torch":
        yield Finding("C compiler", "ok", "none, and none is needed (kernel = torch)")
    else:
        state: State = "problem" if settings.kernel == "native" else "hint"
        yield Finding("C compiler", state, f"none of {', '.join(COMPILERS)} is on the PATH", INSTALL)


def check_kernels(settings: Settings) -> Iterator[Finding]:
    """Build and load the compiled kernels, as the first computation would."""
    from moma_app.errors import InputError
    from moma_app.native.build import kernels_for

    try:
        found = kernels_for(settings.kernel, settings.home)
    except InputError as exc:
        yield Finding("CPU kernels", "problem", str(exc), "Or set kernel = auto, to go on without them.")
        return
    if found.missing:
        remedy = "Mend what the message names; until then work goes on at about half the speed."
        yield Finding("CPU kernels", "hint", found.about, remedy)
    else:
        yield Finding("CPU kernels", "ok", found.about.rstrip("."))
