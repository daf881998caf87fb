"""Local workers: Dask's own scheduler and worker processes, started on first use and shared by all faces.

They belong to one ``MOMA_HOME`` and one user: they listen on 127.0.0.1 and speak TLS with a key that
only this user can read, because whoever can speak to a Dask scheduler can run code. Closing a
dashboard or a notebook leaves them and what they do alone; without work they end by themselves.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

import moma_app
from moma_app.config import Settings
from moma_app.errors import MomaError
from moma_app.files import atomic_write_text, lock_for
from moma_app.jobs.identity import Process, this_host

if TYPE_CHECKING:
    from distributed.security import Security

START_LIMIT = 60.0
"""Seconds that the scheduler has to start."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LEAST_MEMORY = 0.95
"""Share of the machine's memory at which Dask ends a worker, before the kernel ends something else."""


@dataclass(frozen=True)
class Service:
    """The processes of local workers.

    Attributes:
        address: of the scheduler.
        folder: of keys, logs and notes.
        processes: the scheduler and the workers' nannies.
        workers: how many workers there are.
        code: what the package looked like when they started.
    """

    address: str
    folder: Path
    processes: tuple[Process, ...]
    workers: int
    code: str

    @property
    def alive(self) -> bool:
        """Whether the scheduler's process lives and answers."""
        return bool(self.processes) and self.processes[0].lives() and answers(self.address)

    def security(self) -> Security:
        """Return the keys to speak to it."""
        from distributed.security import Security

        files = {
            f"tls_{role}_{what}": str(self.folder / f"{what}.pem")
            for role in ("client", "worker", "scheduler")
            for what in ("cert", "key")
        }
        return Security(require_encryption=True, tls_ca_file=str(self.folder / "cert.pem"), **files)


def find_service(settings: Settings) -> Service | None:
    """Return the local workers of this home as noted, dead or alive; ``None`` if none were ever started."""
    note = service_folder(settings) / "service.json"
    try:
        data = json.loads(note.read_text(encoding="utf-8"))
        processes = tuple(Process(**process) for process in data.pop("processes"))
        return Service(**{**data, "folder": Path(data["folder"]), "processes": processes})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def ensure_service(settings: Settings, *, idle: Callable[[Service], bool]) -> Service:
    """Return living local workers, started now if need be.

    Args:
        settings: home, number of workers, and minutes without work.
        idle: whether a service has nothing to do; asked when the package has changed since the
            workers started, because then they would run the old code.

    Raises:
        MomaError: they do not start; the message names their log.
    """
    folder = service_folder(settings)
    with lock_for(folder / "service.json"):
        service = find_service(settings)
        if service is not None and service.alive:
            if service.code == _code() or not idle(service):
                return service
            stop_service(service)
        return _start(settings, folder)


def stop_service(service: Service) -> None:
    """End the local workers; what they were doing is interrupted."""
    living = [psutil.Process(p.pid) for p in service.processes if p.here and p.lives()]
    family = [*living, *(child for process in living for child in _children(process))]
    for process in family:
        _quietly(process.terminate)
    _, left = psutil.wait_procs(family, timeout=5)
    for process in left:
        _quietly(process.kill)
    psutil.wait_procs(left, timeout=5)


def answers(address: str, seconds: float = 2.0) -> bool:
    """Return whether something listens at an address such as ``tcp://host:8786``."""
    host, _, port = address.partition("://")[2].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds):
            return True
    except (OSError, ValueError):
        return False


def _start(settings: Settings, folder: Path) -> Service:
    shutil.rmtree(folder / "dask", ignore_errors=True)
    for name in ("service.json", "scheduler.json"):
        (folder / name).unlink(missing_ok=True)
    keys = _make_keys(folder)
    scheduler = _spawn(
        folder / "scheduler.log",
        [
            *("scheduler", "--host", "127.0.0.1", "--port", "0", "--protocol", "tls", "--no-dashboard"),
            *("--scheduler-file", str(folder / "scheduler.json")),
            *("--idle-timeout", f"{settings.idle_minutes * 60:.0f} s"),
            *keys,
        ],
        {},
    )
    address = _await_address(scheduler, folder)
    gpus = _visible_gpus()
    count = settings.workers or max(1, len(gpus))
    memory = psutil.virtual_memory().total // count
    offers = f"MEMORY={memory / 2**30:.1f}"
    threads = str(settings.threads or max(1, _cores() // count))
    nannies = [
        _spawn(
            folder / f"worker-{number}.log",
            [
                *("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--nworkers", "1", "--nanny"),
                *("--no-dashboard", "--death-timeout", "60", "--name", f"local-{number}"),
                *("--memory-limit", str(memory), "--local-directory", str(folder / "dask")),
                *("--resources", f"{offers} GPU=1" if gpus else offers),
                *("--preload", "moma_app.jobs.preload"),
                *keys,
            ],
            {
                **({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}),
                # Unless they are set, Dask's nanny sets them to 1.
                **{name: os.environ.get(name, threads) for name in THREAD_VARIABLES},
            },
        )
        for number in range(count)
    ]
    processes = [
        Process(this_host(), p.pid, psutil.Process(p.pid).create_time()) for p in (scheduler, *nannies)
    ]
    note = {
        "address": address,
        "folder": str(folder),
        "processes": [vars(process) for process in processes],
        "workers": count,
        "code": _code(),
    }
    atomic_write_text(folder / "service.json", json.dumps(note, indent=1) + "\n")
    return Service(address, folder, tuple(processes), count, note["code"])  # type: ignore[arg-type]


def _spawn(log: Path, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one of Dask's commands so that it outlives this process and keeps none of its files open."""
    with log.open("w") as output:
        return subprocess.Popen(  # noqa: S603 - Dask's own command
            [sys.executable, "-m", "dask", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_DASK, **environment},
            start_new_session=True,
        )


_DASK = {
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


def _await_address(scheduler: subprocess.Popen[bytes], folder: Path) -> str:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        try:
            address = str(json.loads((folder / "scheduler.json").read_text(encoding="utf-8"))["address"])
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


def _make_keys(folder: Path) -> list[str]:
    """Make a key pair that only this user can read, and return Dask's options for it."""
    from distributed.security import Security

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: Any = Security.temporary()
    for name, text in (("cert", made.tls_scheduler_cert), ("key", made.tls_scheduler_key)):
        path = folder / f"{name}.pem"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    return ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]


def _visible_gpus() -> list[str]:
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


def _cores() -> int:
    return (
        len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count() or 1
    )


def _code() -> str:
    """Name the package's state: its version and its newest file."""
    root = Path(moma_app.__file__).parent
    newest = max(path.stat().st_mtime_ns for path in root.rglob("*.py"))
    return f"{moma_app.__version__} {newest}"


def service_folder(settings: Settings) -> Path:
    """Return the folder of this machine's local workers; machines may share the home."""
    return settings.home.absolute() / "jobs" / socket.gethostname()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except psutil.Error:  # it has ended by itself in the meantime
        return
