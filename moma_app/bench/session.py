"""The leader's end of a worker: start it, tell it what to do, end it, whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any, Self

from moma_app.bench.job import Job
from moma_app.errors import MomaError

PATIENCE = 10
"""Seconds that a worker gets to end by itself."""


class Session:
    """A worker process; a context manager, at whose end the process is gone.

    Args:
        job: what the worker is to do.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        threads = str(job.threads)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", "moma_app.bench.worker", job.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env={
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "MOMA_THREADS": threads,
            },
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.terminate()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()

    def wait_until_ready(self) -> None:
        """Wait until the worker has what it needs.

        Raises:
            MomaError: it could not get it.
        """
        self._hear()

    def warm_up(self) -> float:
        """Let the worker make its first call; return the seconds it took."""
        return float(self._ask("warm-up")["seconds"])

    def run(self) -> float:
        """Let the worker run one repeat; return the seconds it took."""
        return float(self._ask("run")["seconds"])

    def end(self) -> dict[str, Any]:
        """End the timed part; return units, memory, answer and facts."""
        return self._ask("end")

    def profile(self) -> list[dict[str, Any]]:
        """Let the worker run once more, under the profiler."""
        found: list[dict[str, Any]] = self._ask("profile")["profile"]
        return found

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; what it said last tells why
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise MomaError(self._obituary())
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise MomaError(message["error"])
        return message

    def _obituary(self) -> str:
        code = self._process.wait()
        what = f"The benchmark's worker ({self.job.builder}, {self.job.side})"
        if code < 0:
            return f"{what} was ended by signal {-code}; 9 is what a lack of memory gives: try smaller sizes."
        self._complaints.seek(0)
        last = (self._complaints.read().strip().splitlines() or ["it said nothing"])[-1]
        return f"{what} ended with exit code {code}: {last}"
