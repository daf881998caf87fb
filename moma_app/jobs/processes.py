"""One fit in several processes of one machine, started with torchrun; Lightning's DDP joins them.

A worker (or the inline engine) starts the processes and passes on what the first of them tells. Run
as a module, this file is one of those processes: ``torchrun -m moma_app.jobs.processes FOLDER``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from moma_app.config import get_settings, override
from moma_app.errors import CancelledError, MomaError
from moma_app.files import atomic_write_text
from moma_app.jobs.context import CANCELLED, Context
from moma_app.jobs.events import Reader, Writer
from moma_app.jobs.identity import Process
from moma_app.jobs.registry import get_unit
from moma_app.jobs.spec import RunSpec
from moma_app.progress import silent

JOB, TOLD, ANSWER, OUTPUT, STOP = "job.json", "told.jsonl", "answer.json", "output.txt", "stop"
GRACE = 20.0
"""Seconds that the processes have to stop by themselves."""
PAUSE = 0.1
LOOK_EVERY = 1.0


def run_in_processes(spec: RunSpec, context: Context) -> dict[str, Any]:
    """Do a unit in ``spec.needs.processes`` processes and return what the first of them returns.

    Raises:
        CancelledError: the run was asked to stop; the processes have ended.
        MomaError: the unit failed, or a process died.
    """
    folder = context.folder / "processes" / str(time.time_ns())  # each attempt has its own
    folder.mkdir(parents=True)
    job = {
        "spec": spec.to_dict(),
        "settings": get_settings().model_dump(mode="json"),
        "resuming": context.resuming,
        "carried": None if context.carried is None else str(context.carried),
        "shared": context.shared,
        "owner": vars(Process.this()),
        "folder": str(context.folder),
    }
    atomic_write_text(folder / JOB, json.dumps(job))
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(spec.needs.processes), "-m", "moma_app.jobs.processes", str(folder)),
    ]
    threads = max(1, (os.cpu_count() or 1) // spec.needs.processes)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "PYTHONSAFEPATH": "1"}
    with (folder / OUTPUT).open("w") as output:
        torchrun = subprocess.Popen(  # noqa: S603 - our own module
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        _pass_on(torchrun, folder, context)
    finally:
        _end(torchrun, folder)
    return _answer(folder, spec, context)


def _pass_on(torchrun: subprocess.Popen[bytes], folder: Path, context: Context) -> None:
    told = Reader(folder / TOLD)
    running = True
    while running:
        running = torchrun.poll() is None
        for entry in told.new():
            context.progress(entry.event)
        if context.stop():
            raise CancelledError(CANCELLED)
        time.sleep(PAUSE if running else 0)


def _end(torchrun: subprocess.Popen[bytes], folder: Path) -> None:
    """Ask the processes to stop, then see to it."""
    if torchrun.poll() is not None:
        return
    (folder / STOP).touch()
    try:
        torchrun.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(torchrun.pid, signal.SIGKILL)
        torchrun.wait()


def _answer(folder: Path, spec: RunSpec, context: Context) -> dict[str, Any]:
    try:
        answer = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        lines = (folder / OUTPUT).read_text(errors="replace").strip().splitlines()
        last = next((line.strip() for line in reversed(lines) if "Error" in line), "it left no message")
        raise MomaError(
            f"One of the {spec.needs.processes} processes of the fit died ({last}); {folder / OUTPUT} has all they said."
        ) from None
    if "error" in answer:
        raise CancelledError(answer["error"]) if answer["cancelled"] else MomaError(answer["error"])
    context.facts(**answer["facts"])
    result: dict[str, Any] = answer["result"]
    return result


def _end_with(owner: Process) -> None:
    """End this process when the one that ordered it is gone: it would train on beside its successor."""
    while owner.lives():
        time.sleep(LOOK_EVERY)
    os._exit(1)


def _one_of_them(folder: Path) -> None:
    """Be one of the processes."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    threading.Thread(target=_end_with, args=(Process(**job["owner"]),), daemon=True).start()
    spec = RunSpec.from_dict(job["spec"])
    first = int(os.environ.get("RANK", "0")) == 0
    facts: dict[str, Any] = {}
    context = Context(
        Path(job["folder"]),
        stop=(folder / STOP).exists,
        facts=facts.update,
        resuming=job["resuming"],
        carried=None if job["carried"] is None else Path(job["carried"]),
        shared=job["shared"],
        listener=Writer(folder / TOLD) if first else silent,
    )
    answer: dict[str, Any]
    with override(job["settings"]):
        try:
            result = get_unit(spec.unit)(context, **spec.arguments, **spec.publish)
            answer = {"result": result, "facts": facts}
        except MomaError as exc:
            answer = {"error": str(exc), "cancelled": isinstance(exc, CancelledError)}
    if first:
        atomic_write_text(folder / ANSWER, json.dumps(answer))


if __name__ == "__main__":
    _one_of_them(Path(sys.argv[1]))
