"""How a command does its work: as a run, watched to its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from moma_app.cli.output import err, print_json, progress_bar, say
from moma_app.errors import CancelledError, InputError, MomaError

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.order import Outcome
    from moma_app.jobs.spec import RunSpec
    from moma_app.progress import Listener

SHORT = 8
"""Digits of a run's id that are shown."""


@contextmanager
def open_jobs(engine: str | None, scheduler: str | None) -> Iterator[Jobs]:
    """Yield the job layer with a command's own choice of where work runs."""
    from moma_app.config import override
    from moma_app.jobs.jobs import Jobs

    chosen = {"engine": engine, "scheduler": scheduler}
    if started_by_launcher():
        chosen["engine"] = "inline"  # these processes are the workers
    with override({key: value for key, value in chosen.items() if value is not None}), Jobs() as jobs:
        yield jobs


def ranked(spec: RunSpec, priority: int, memory: float | None) -> RunSpec:
    """Return a run with its place in the queue and the memory it asks for."""
    needs = spec.needs if memory is None else dataclasses.replace(spec.needs, memory_gb=memory)
    return dataclasses.replace(spec, priority=priority, needs=needs)


def do(
    jobs: Jobs, spec: RunSpec, progress: Listener, *, resume: bool = False, run_id: str | None = None
) -> dict[str, Any]:
    """Do a piece of work to its end and return its result.

    Args:
        jobs: where it runs.
        spec: what to do.
        progress: gets its events.
        resume: go on with the newest run of the same work, if it stopped before its end.
        run_id: go on with this run.

    Raises:
        MomaError: the run failed; the message is the run's own, and says where its log is.
        CancelledError: somebody else stopped it.
    """
    from moma_app.work.publishing import publish

    if rank():
        _take_part(jobs, spec, resume=resume)
    if resume and run_id is None:
        run_id = _stopped(jobs, spec)
    outcome = jobs.run(spec, progress, run_id=run_id)
    publish(jobs.store, spec, outcome)
    return result_of(outcome)


def result_of(outcome: Outcome) -> dict[str, Any]:
    """Return a run's result, or raise what became of it."""
    if outcome.state == "finished":
        return outcome.result
    run = f"run {outcome.run_id[:SHORT]}; `moma runs log {outcome.run_id[:SHORT]}` has all"
    if outcome.state == "cancelled":
        raise CancelledError(f"{outcome.message or 'The run was stopped.'} ({run})")
    raise MomaError(f"{outcome.message or f'The run is {outcome.state}.'} ({run})")


def rank() -> int:
    """Return this process's number if torchrun or Slurm started several; only number 0 keeps a record."""
    from moma_app.training.parallel import process_rank

    return process_rank() if started_by_launcher() else 0


def started_by_launcher() -> bool:
    """Return whether torchrun or Slurm started several processes of this command, to share one fit."""
    from moma_app.training.parallel import launched_processes

    return launched_processes() > 1


def processes(devices: int | None, nodes: int, strategy: str, device: str) -> int:
    """Check what was asked of a fit's processes, and return how many a worker has to start.

    Raises:
        InputError, UnknownNameError: it cannot be had; see :class:`moma_app.training.parallel.Parallel`.
    """
    from moma_app.training.parallel import Parallel, layout

    wanted = Parallel(devices, nodes, strategy)
    if started_by_launcher():
        from moma_app.runtime import pick_device

        layout(wanted, pick_device(device))
        return 1
    if nodes > 1:
        raise InputError(
            "--nodes is for a fit that torchrun or srun starts on every node, see docs/cluster.md."
        )
    if (devices or 1) > 1 and device == "auto":
        raise InputError("--devices needs to know which: give --device cuda, or --device cpu.")
    return devices or 1


def follow(jobs: Jobs, run_id: str, *, quiet: bool) -> dict[str, Any]:
    """Watch a run to its end and return its result; Ctrl-C stops the run."""
    with progress_bar(quiet=quiet) as progress:
        outcome = jobs.wait(run_id, progress)
    return result_of(outcome)


def detach(jobs: Jobs, spec: RunSpec, *, json: bool, resume: bool = False) -> None:
    """Start a run, or go on with the newest one of the same work, and say its id."""
    if jobs.engine == "inline":
        raise typer.BadParameter("--detach needs workers: leave --engine inline out.")
    stopped = _stopped(jobs, spec) if resume else None
    run_id = jobs.submit(spec) if stopped is None else jobs.resume(stopped)
    if json:
        print_json({"run": run_id, "state": "queued"})
        return
    say(f"Run {run_id[:SHORT]} is queued: {spec.name}.")
    say(f"Next: moma runs show {run_id[:SHORT]} --follow")


def _stopped(jobs: Jobs, spec: RunSpec) -> str | None:
    from moma_app.jobs.listing import resumable

    found = resumable(jobs, spec.digest)
    if found is None:
        err.print("Nothing of this work was left unfinished: it starts anew.", highlight=False)
        return None
    err.print(f"Going on with run {found.id[:SHORT]} ({found.state}).", highlight=False)
    return found.id


def _take_part(jobs: Jobs, spec: RunSpec, *, resume: bool) -> None:
    """Be one of the other processes of a fit: work without a record, and end with the fit."""
    import tempfile
    from pathlib import Path

    from moma_app.jobs.context import Context
    from moma_app.jobs.registry import get_unit

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if resume and (found := jobs.store.runs(digest=spec.digest, limit=1)):
            folder = jobs.folder(found[0].id)  # whose checkpoints the first process goes on from
        context = Context(folder, resuming=(folder / "checkpoints").is_dir())
        get_unit(spec.unit)(context, **spec.arguments)
    raise SystemExit(0)


def refuse_taken(folder: Any, *, overwrite: bool) -> None:
    """Refuse an output folder that exists before any work is done.

    Raises:
        InputError: it exists, and must not be overwritten.
    """
    if folder is not None and folder.exists() and not overwrite:
        raise InputError(f"{folder} exists already: choose another folder, or allow --overwrite.")
