"""Which process does a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil


@cache
def this_host() -> str:
    """Return a name for the space that this process's number is valid in.

    Two containers may share a host name and a disk, but not their process numbers; a machine that
    was started anew has other processes under the old numbers.
    """
    parts = [socket.gethostname()]
    for path, read in (
        ("/proc/sys/kernel/random/boot_id", Path.read_text),
        ("/proc/self/ns/pid", os.readlink),
    ):
        try:
            parts.append(str(read(Path(path))).strip()[-12:])
        except OSError:  # not Linux: the host's name has to do
            continue
    return "/".join(parts)


@dataclass(frozen=True)
class Process:
    """One process of one machine.

    Attributes:
        host: as :func:`this_host` names it.
        pid: its number.
        started: when, in seconds since the epoch; tells it from a later process of the same number.
    """

    host: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Process:
        """Describe the present process."""
        return cls(this_host(), os.getpid(), psutil.Process().create_time())

    @property
    def here(self) -> bool:
        """Whether it is of this machine, so that :meth:`lives` can know."""
        return self.host == this_host()

    def lives(self) -> bool:
        """Return whether the process exists; only meaningful :attr:`here`."""
        try:
            found = psutil.Process(self.pid)
            # The kernel's clock may be corrected in between, so the times agree to a second or two only.
            return bool(
                abs(found.create_time() - self.started) < 3 and found.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False
