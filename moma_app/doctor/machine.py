"""Memory and disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.doctor.finding import Finding, State
from moma_app.doctor.writing import nearest_folder

if TYPE_CHECKING:
    from moma_app.config import Settings

MEMINFO = Path("/proc/meminfo")
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
LITTLE_MEMORY = 2 * 2**30
"""Training on cells of 31 atoms in batches of 32 takes 0.7 GB, the libraries included."""
LITTLE_DISK, NO_DISK = 5 * 2**30, 200 * 2**20
"""Bytes: of a few downloaded tasks with their graphs; of a single predictor."""


@dataclass(frozen=True)
class Limit:
    """How much memory the control groups (a container, a batch job) let this process have, in bytes."""

    total: int
    free: int


def check_memory(_: Settings | None = None) -> Iterator[Finding]:
    """Say how much memory there is, how much is free, and what a container allows."""
    facts = _meminfo()
    total = facts.get("MemTotal") or _physical()
    if total is None:
        yield Finding("memory", "ok", "this system does not tell")
        return
    available = facts.get("MemAvailable")
    value = _gib(total) + (f", {_gib(available)} available" if available is not None else "")
    limit = memory_limit()
    if limit is not None and limit.total < total:
        value += f"; limited to {_gib(limit.total)}, of which {_gib(limit.free)} are free"
        available = limit.free if available is None else min(available, limit.free)
    if available is not None and available < LITTLE_MEMORY:
        remedy = "End what else is running, or train with a smaller batch_size under [fit] of the recipe."
        yield Finding("memory", "hint", value, remedy)
    else:
        yield Finding("memory", "ok", value)


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Say how much room there is where MoMa writes."""
    folder = nearest_folder(settings.home)
    usage = shutil.disk_usage(folder)
    value = f"{_gib(usage.free)} of {_gib(usage.total)} free at {folder}"
    state: State = "problem" if usage.free < NO_DISK else "hint" if usage.free < LITTLE_DISK else "ok"
    remedy = "Free some, or set home (MOMA_HOME) to a folder on a larger disk." if state != "ok" else ""
    yield Finding("disk", state, value, remedy)


def memory_limit(own: Path = OWN_CGROUP, root: Path = CGROUPS) -> Limit | None:
    """Return the tightest memory limit of the control groups that this process is in, if any.

    Args:
        own: file that names the groups.
        root: folder of all groups.
    """
    try:
        lines = own.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = [limit for line in lines for limit in _limits(line, root)]
    return min(found, key=lambda limit: limit.free, default=None)


def _limits(line: str, root: Path) -> Iterator[Limit]:
    """Yield the limits of one group and those around it: version 2 is one tree, 1 has a folder for memory."""
    _, controllers, group = line.split(":", 2)
    if not controllers:
        top, names = root, ("memory.max", "memory.current")
    elif "memory" in controllers.split(","):
        top, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
    else:
        return
    folder = top / group.strip("/")
    for place in (folder, *folder.parents):
        if not place.is_relative_to(top):
            return
        total, used = (_number(place / name) for name in names)
        if total is not None and used is not None:
            cached = _facts(place / "memory.stat").get("inactive_file", 0)  # given back when it is needed
            yield Limit(total, max(0, total - used + cached))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # ValueError: "max" is no limit
        return None


def _meminfo() -> dict[str, int]:
    return {name: 1024 * value for name, value in _facts(MEMINFO).items()}


def _facts(path: Path) -> dict[str, int]:
    """Read lines such as ``MemTotal:  16 kB`` or ``inactive_file 4096``."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    words = (line.replace(":", " ").split() for line in lines)
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()}


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not on Windows
        return None


def _gib(number: int) -> str:
    return f"{number / 2**30:.1f} GiB" if number < 100 * 2**30 else f"{number / 2**30:,.0f} GiB"
