"""Dask's own commands as processes of this machine: a scheduler, and workers with their nannies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from moma_app.errors import MomaError

START_LIMIT = 60.0
"""Seconds that the scheduler has to start."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LEAST_MEMORY = 0.95
"""Share of its limit at which Dask ends a worker, before the kernel ends something else."""
SCHEDULER_FILE = "scheduler.json"

DASK = {
    "PYTHONSAFEPATH": "1",  # the folder that the user happens to be in is no place to import from
    # A unit may start processes of its own, such as those that build graphs.
    "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
    # What fills the memory is PyTorch's, which Dask cannot spill: it would only pause the worker.
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": str(LEAST_MEMORY),
    # A run that has taken three workers down would take the next one down too.
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2",
    # All runs wait in one place, with their worker, where a more urgent one overtakes the others; idle
    # workers steal from it. Otherwise some would wait there and some with the scheduler.
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "inf",
    # A long batch in native code is not a dead worker.
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1 hour",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}
"""Dask's configuration, as environment variables of its processes."""


def start_scheduler(folder: Path, *, idle_minutes: float) -> tuple[subprocess.Popen[bytes], str]:
    """Start a scheduler that only this user can speak to.

    Args:
        folder: gets keys, log, and the file that names the address.
        idle_minutes: it ends after so many minutes without work.

    Returns:
        Process and address.

    Raises:
        MomaError: it does not start; the message names its log.
    """
    (folder / SCHEDULER_FILE).unlink(missing_ok=True)
    _make_keys(folder)
    process = _spawn(
        folder / "scheduler.log",
        [
            *("scheduler", "--host", "127.0.0.1", "--port", "0", "--protocol", "tls", "--no-dashboard"),
            *("--scheduler-file", str(folder / SCHEDULER_FILE)),
            *("--idle-timeout", f"{idle_minutes * 60:.0f} s"),
            *_key_options(folder),
        ],
        {},
    )
    return process, _await_address(process, folder)


def start_worker(
    folder: Path,
    address: str,
    name: str,
    *,
    offers: Mapping[str, float],
    memory: int,
    threads: int,
    gpu: str | None,
) -> subprocess.Popen[bytes]:
    """Start a worker that does one run at a time; its nanny starts it anew if it dies.

    Args:
        folder: of the scheduler's keys; gets the worker's log.
        address: of the scheduler.
        name: of the worker.
        offers: resources, by name.
        memory: bytes that it may fill.
        threads: of its numerical libraries; variables that the user has set are stronger.
        gpu: the GPU that it sees, or none if empty; ``None`` leaves that as it is.

    Returns:
        The nanny's process.
    """
    return _spawn(
        folder / f"worker-{name}.log",
        [
            *("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--nworkers", "1", "--nanny"),
            *("--no-dashboard", "--death-timeout", "60", "--name", name),
            *("--memory-limit", str(memory), "--local-directory", str(folder / "dask")),
            *("--resources", " ".join(f"{what}={amount:.4g}" for what, amount in offers.items())),
            *("--preload", "moma_app.jobs.preload"),
            *_key_options(folder),
        ],
        {
            **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}),
            # Unless they are set, Dask's nanny sets them to 1.
            **{variable: os.environ.get(variable, str(threads)) for variable in THREAD_VARIABLES},
        },
    )


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, without loading PyTorch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip() and name.strip() != "-1"]
    if not (tool := shutil.which("nvidia-smi")):
        return []
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))]


def cores() -> int:
    """Return how many cores this process may use."""
    return (
        len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count() or 1
    )


def _spawn(log: Path, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one of Dask's commands so that it outlives this process and keeps none of its files open."""
    with log.open("w") as output:
        return subprocess.Popen(  # noqa: S603 - Dask's own command
            [sys.executable, "-m", "dask", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **DASK, **environment},
            start_new_session=True,
        )


def _await_address(scheduler: subprocess.Popen[bytes], folder: Path) -> str:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        try:
            address = str(json.loads((folder / SCHEDULER_FILE).read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError):  # not there yet, or half written
            if scheduler.poll() is not None:
                break
            time.sleep(0.05)
            continue
        return address
    scheduler.kill()
    raise MomaError(
        f"The local scheduler did not start: {folder / 'scheduler.log'} says why; `--engine inline` works without it."
    )


def _make_keys(folder: Path) -> None:
    """Make a key pair that only this user can read."""
    from distributed.security import Security

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: Any = Security.temporary()
    for name, text in (("cert", made.tls_scheduler_cert), ("key", made.tls_scheduler_key)):
        path = folder / f"{name}.pem"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)


def _key_options(folder: Path) -> list[str]:
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    return ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
