"""Local workers: Dask's own scheduler and worker processes, started on first use and shared by all faces.

They belong to one ``MOMA_HOME`` and one user: they listen on 127.0.0.1 and speak TLS with a key that
only this user can read, because whoever can speak to a Dask scheduler can run code. Closing a
dashboard or a notebook leaves them and what they do alone; without work they end by themselves.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

import moma_app
from moma_app.config import Settings
from moma_app.files import atomic_write_text, lock_for
from moma_app.jobs.identity import Process, this_host
from moma_app.jobs.local_processes import cores, start_scheduler, start_worker, visible_gpus
from moma_app.jobs.placing import offers_of_main, offers_of_quick

if TYPE_CHECKING:
    from distributed.security import Security

NOTE = "service.json"
"""File that names the processes."""


@dataclass(frozen=True)
class Service:
    """The processes of local workers.

    Attributes:
        address: of the scheduler.
        folder: of keys, logs and notes.
        processes: the scheduler and the workers' nannies.
        workers: how many main workers there are, which take every run.
        code: what the package looked like when they started.
        quick: the nanny of the worker for quick runs, if one was started.
    """

    address: str
    folder: Path
    processes: tuple[Process, ...]
    workers: int
    code: str
    quick: Process | None = None

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
    note = service_folder(settings) / NOTE
    try:
        data = json.loads(note.read_text(encoding="utf-8"))
        processes = tuple(Process(**process) for process in data.pop("processes"))
        quick = None if data.get("quick") is None else Process(**data["quick"])
        return Service(**{**data, "folder": Path(data["folder"]), "processes": processes, "quick": quick})
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
    with lock_for(folder / NOTE):
        service = find_service(settings)
        if service is not None and service.alive:
            if service.code == _code() or not idle(service):
                return service
            stop_service(service)
        return _start(settings, folder)


def ensure_quick_worker(settings: Settings) -> None:
    """Start the worker for quick runs beside living local workers, unless it is there.

    It is started when first needed, because most people do one thing at a time. It has half of the
    cores, and no GPU: that belongs to the run that keeps the main worker busy.
    """
    folder = service_folder(settings)
    with lock_for(folder / NOTE):
        service = find_service(settings)
        if service is None or not service.alive or (service.quick is not None and service.quick.lives()):
            return
        nanny = start_worker(
            folder,
            service.address,
            "local-quick",
            offers=offers_of_quick(),
            memory=psutil.virtual_memory().total // 2,
            threads=max(1, (settings.threads or cores()) // 2),
            gpu="",
        )
        _note(dataclasses.replace(service, quick=_process(nanny)))


def stop_service(service: Service) -> None:
    """End the local workers; what they were doing is interrupted."""
    started = [*service.processes, *([] if service.quick is None else [service.quick])]
    living = [psutil.Process(p.pid) for p in started if p.here and p.lives()]
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
    (folder / NOTE).unlink(missing_ok=True)
    scheduler, address = start_scheduler(folder, idle_minutes=settings.idle_minutes)
    gpus = visible_gpus()
    count = settings.workers or max(1, len(gpus))
    memory = psutil.virtual_memory().total // count
    nannies = [
        start_worker(
            folder,
            address,
            f"local-{number}",
            offers=offers_of_main(memory / 2**30, gpu=bool(gpus)),
            memory=memory,
            threads=settings.threads or max(1, cores() // count),
            gpu=gpus[number % len(gpus)] if gpus else None,
        )
        for number in range(count)
    ]
    processes = tuple(_process(each) for each in (scheduler, *nannies))
    service = Service(address, folder, processes, count, _code())
    _note(service)
    return service


def _note(service: Service) -> None:
    note = {**dataclasses.asdict(service), "folder": str(service.folder)}
    atomic_write_text(service.folder / NOTE, json.dumps(note, indent=1) + "\n")


def _process(started: subprocess.Popen[bytes]) -> Process:
    return Process(this_host(), started.pid, psutil.Process(started.pid).create_time())


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
