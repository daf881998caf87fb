"""A Dask scheduler and workers as processes of their own on this machine, gone when the block ends."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from moma_app.errors import MomaError

PATIENCE = 10
"""Seconds that a process gets to end by itself."""
START = 60
"""Seconds that the scheduler gets to tell its address, and the workers to register."""
FORGOTTEN = "15 minutes"
"""A scheduler whose leader was killed without a chance to end it ends itself after this, its workers with it."""
EVERY = 0.1
"""Seconds between two looks at a process's memory."""


class Cluster:
    """A running cluster.

    Attributes:
        address: of the scheduler.
        peak_mb: most resident memory of the scheduler so far.
    """

    def __init__(self, address: str, scheduler: int) -> None:
        psutil: Any = import_module("psutil")  # distributed brings it
        self.address = address
        self.peak_mb = 0.0
        self._scheduler = psutil.Process(scheduler)
        self._ended: type[Exception] = psutil.Error
        self._enough = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the scheduler so far."""
        times = self._scheduler.cpu_times()
        return float(times.user + times.system)

    @property
    def megabytes(self) -> float:
        """Resident memory of the scheduler now."""
        return float(self._scheduler.memory_info().rss) / 2**20

    def stop_looking(self) -> None:
        """End the look at the scheduler's memory."""
        self._enough.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._enough.wait(EVERY):
            try:
                self.peak_mb = max(self.peak_mb, self.megabytes)
            except self._ended:
                return


@contextmanager
def cluster(workers: int, folder: Path) -> Iterator[Cluster]:
    """Start a scheduler and so many workers of one thread each, by Dask's command line.

    Args:
        workers: how many.
        folder: for their files.

    Raises:
        MomaError: they do not start.
    """
    about = folder / "scheduler.json"
    local = ("--scheduler-file", str(about), "--no-dashboard")
    with ExitStack() as stack:
        scheduler = stack.enter_context(
            _process(
                ["scheduler", *local, "--host", "127.0.0.1", "--port", "0", "--idle-timeout", FORGOTTEN],
                folder / "scheduler.log",
            )
        )
        address = _address(about, scheduler, folder / "scheduler.log")
        for number in range(workers):
            arguments = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            arguments += ["--death-timeout", str(START), "--local-directory", str(folder)]
            stack.enter_context(_process(arguments, folder / f"worker-{number}.log"))
        found = Cluster(address, scheduler.pid)
        stack.callback(found.stop_looking)
        yield found


@contextmanager
def _process(arguments: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Dask command while the block runs."""
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - Dask, by our own interpreter
            [sys.executable, "-m", "dask", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(about: Path, scheduler: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the file in which the scheduler says where it is.

    Raises:
        MomaError: it ended, or said nothing for too long.
    """
    deadline = time.monotonic() + START
    while scheduler.poll() is None and time.monotonic() < deadline:
        try:
            return str(json.loads(about.read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError):  # not yet there, or not yet whole
            time.sleep(0.05)
    last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    raise MomaError(f"Dask's scheduler does not start: {last}")
