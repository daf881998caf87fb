"""``moma runs``: what has run and what runs; stop it, go on with it, do it again, clear up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from moma_app.cli import options, running
from moma_app.cli.output import number, print_json, progress_bar, say, table
from moma_app.cli.running import SHORT
from moma_app.errors import InputError, UnknownNameError
from moma_app.work.headline import main_metric

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs
    from moma_app.jobs.record import Record
    from moma_app.jobs.states import State

app = typer.Typer(help="Runs: what was done, with which numbers; stop, resume, repeat.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="RUN", help="First digits of a run's id, or 'last'.")]
Ids = Annotated[list[str], typer.Argument(metavar="RUN...", help="First digits of runs' ids, or 'last'.")]
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        help="Only runs in this state: queued, running, finished, failed, cancelled or interrupted; "
        "can be given several times.",
    ),
]
ENDED_EARLY: tuple[State, ...] = ("failed", "cancelled", "interrupted")
LONGEST = 32
"""Characters of what a run is doing."""


def _states(given: list[str] | None, usual: tuple[State, ...]) -> tuple[State, ...]:
    from moma_app.jobs.states import STATES

    for state in given or ():
        if state not in STATES:
            raise UnknownNameError("state of a run", state, STATES)
    return cast("tuple[State, ...]", tuple(given)) if given else usual


def _record(jobs: Jobs, start: str) -> Record:
    if start != "last":
        return jobs.record(start)
    newest = jobs.store.runs(limit=1)
    if not newest:
        raise InputError("There are no runs yet.")
    return jobs.record(newest[0].id)


@app.command("list")
def list_(
    state: States = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Only this kind of work.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="Only runs on this task.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0 for all.")] = 20,
    json: options.Json = False,
) -> None:
    """List runs, newest first."""
    from moma_app.jobs.listing import list_runs
    from moma_app.jobs.states import STATES

    with running.open_jobs(None, None) as jobs:
        records = list_runs(jobs, states=_states(state, STATES), unit=unit, task=task, limit=limit or None)
    if json:
        print_json([record.to_dict() for record in records])
        return
    if not records:
        say("No runs yet." if state is None and unit is None and task is None else "No such runs.")
        return
    table(
        None,
        [
            ("run", "left"),
            ("state", "left"),
            ("started", "left"),
            ("time", "right"),
            ("doing", "left"),
            ("metric", "right"),
            ("name", "left"),
        ],
        [
            (
                r.id[:SHORT],
                r.state,
                _when(r.created),
                _duration(r.seconds),
                _doing(r),
                _main_metric(r),
                r.name,
            )
            for r in records
        ],
    )


@app.command()
def show(
    run: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch the run to its end.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show a run: state, arguments, numbers, artefacts."""
    with running.open_jobs(None, None) as jobs:
        record = _record(jobs, run)
        if follow and record.open:
            with progress_bar(quiet=quiet) as progress:
                for entry in jobs.watch(record.id):
                    progress(entry.event)
            record = jobs.record(record.id)
        artefacts = jobs.store.artefacts(record.id)
        folder = jobs.folder(record.id)
    if json:
        print_json({**record.to_dict(), "artefacts": artefacts, "folder": str(folder)})
        return
    facts: dict[str, Any] = {
        "run": record.id,
        "name": record.name,
        "state": record.state + (f": {record.message}" if record.message else ""),
        "started": _when(record.created) + (f", {_duration(record.seconds)}" if record.seconds else ""),
        "host": record.host + (f", process {record.process.pid}" if record.process else ""),
        "code": f"moma-app {record.version}" + (f", commit {record.commit}" if record.commit else ""),
        "attempts": record.attempts if record.attempts > 1 else "",
        "artefacts": ", ".join(artefacts),
        "folder": folder if folder.is_dir() else "",
    }
    for key, value in facts.items():
        if value != "":
            say(f"{key:12} {value}")
    metrics = {name: number(value) for name, value in record.metrics.items()}
    for title, values in (("arguments", record.parameters), ("facts", record.facts), ("metrics", metrics)):
        if values:
            say(title)
            width = max(map(len, values))
            for name, value in sorted(values.items()):
                say(f"  {name:{width}}  {value}")


@app.command()
def log(
    run: Id,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Show so many last lines.")] = 50,
    json: options.Json = False,
) -> None:
    """Show the end of a run's log."""
    import json as json_
    import tempfile

    from moma_app.jobs.logs import LOG, tail

    with running.open_jobs(None, None) as jobs:
        record = _record(jobs, run)
        path = jobs.folder(record.id) / LOG
        with tempfile.TemporaryDirectory() as scratch:
            if not path.is_file():
                path = jobs.store.fetch(record.id, LOG, Path(scratch))
            entries = [
                json_.loads(line) for line in tail(path, lines) if line.startswith("{") and line.endswith("}")
            ]
    if json:
        print_json(entries)
        return
    for entry in entries:
        say(f"{entry['time']} {entry['level']:7} {entry['message']}")
        if "traceback" in entry:
            say(entry["traceback"])


@app.command()
def compare(
    runs: Ids,
    json: options.Json = False,
) -> None:
    """Show how runs differ: arguments, facts and numbers side by side."""
    with running.open_jobs(None, None) as jobs:
        found = [_record(jobs, run) for run in runs]
        records = [jobs.store.get(record.id) for record in found]
    if json:
        print_json([record.to_dict() for record in records])
        return
    columns = [("", "left"), *((record.id[:SHORT], "right") for record in records)]
    table(None, columns, [("name", *(r.name for r in records)), ("state", *(r.state for r in records))])
    for title, values in (
        ("arguments that differ", [r.parameters for r in records]),
        ("facts that differ", [r.facts for r in records]),
    ):
        keys = sorted({key for value in values for key in value})
        rows = [(key, *(value.get(key, "–") for value in values)) for key in keys]
        rows = [row for row in rows if len(set(row[1:])) > 1]
        if rows:
            table(title, columns, rows)
    keys = sorted({key for record in records for key in record.metrics})
    if keys:
        table("metrics", columns, [(k, *(number(r.metrics.get(k), 6) for r in records)) for k in keys])


@app.command()
def cancel(
    runs: Ids,
    grace: Annotated[
        float, typer.Option("--grace", min=0, help="Seconds until a run that does not stop is killed.")
    ] = 30.0,
    json: options.Json = False,
) -> None:
    """Stop runs; what they have saved stays, and they can be resumed."""
    with running.open_jobs(None, None) as jobs:
        ended = [jobs.cancel(_record(jobs, run).id, grace) for run in runs]
    _report(ended, json=json)


@app.command()
def resume(
    run: Id,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Go on with a run that failed, was cancelled or interrupted, from its last checkpoint."""
    with running.open_jobs(engine, scheduler) as jobs:
        record = _record(jobs, run)
        if detach:
            jobs.resume(record.id)
        else:
            spec = jobs.store.spec(record.id)
            with progress_bar(quiet=quiet) as progress:
                running.do(jobs, spec, progress, run_id=record.id)
        _report([jobs.store.get(record.id)], json=json)


@app.command()
def rerun(
    run: Id,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Do a run again, as a new run: the same numbers on the same machine. Nothing is published."""
    from moma_app.work.repeating import differences

    with running.open_jobs(engine, scheduler) as jobs:
        old = _record(jobs, run)
        spec = jobs.rerun(old.id)
        if detach:
            running.detach(jobs, spec, json=json)
            return
        with progress_bar(quiet=quiet) as progress:
            outcome = jobs.run(spec, progress)
        running.result_of(outcome)
        new = jobs.store.get(outcome.run_id)
        old = jobs.store.get(old.id)
    found = differences(old, new)
    if json:
        print_json(
            {"run": new.id, "of": old.id, "same": not found, "differences": found, "metrics": new.metrics}
        )
        return
    say(
        f"Run {new.id[:SHORT]} repeats {old.id[:SHORT]}: "
        + ("the same numbers." if not found else "it differs.")
    )
    if found:
        table(
            None,
            [("", "left"), (old.id[:SHORT], "right"), (new.id[:SHORT], "right")],
            [(name, before, now) for name, (before, now) in found.items()],
        )


@app.command()
def fetch(
    run: Id,
    folder: Annotated[Path, typer.Argument(help="Where the artefacts go.")],
    name: Annotated[
        str | None,
        typer.Option("--name", help="One artefact, such as predictor or report.html; all by default."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Copy a run's artefacts (predictor, report, results, log) into a folder."""
    with running.open_jobs(None, None) as jobs:
        record = _record(jobs, run)
        names = (
            [name] if name else sorted({entry.partition("/")[0] for entry in jobs.store.artefacts(record.id)})
        )
        paths = [jobs.store.fetch(record.id, entry, folder) for entry in names]
    if json:
        print_json([str(path) for path in paths])
        return
    for path in paths:
        say(str(path))


@app.command()
def delete(
    runs: Ids,
    json: options.Json = False,
) -> None:
    """Forget runs with their artefacts, logs and checkpoints."""
    with running.open_jobs(None, None) as jobs:
        deleted = [jobs.delete(_record(jobs, run).id) for run in runs]
    if json:
        print_json([record.id for record in deleted])
        return
    for record in deleted:
        say(f"Deleted run {record.id[:SHORT]} ({record.name}).")


@app.command()
def prune(
    days: Annotated[
        float, typer.Option("--older-than", min=0, help="Days since the run was created.")
    ] = 30.0,
    state: States = None,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Keep the newest so many in any case.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: options.Json = False,
) -> None:
    """Delete old runs that have ended (by default failed, cancelled and interrupted ones), and left-over folders."""
    from moma_app.jobs.listing import old_runs, orphans, remove_orphan

    with running.open_jobs(None, None) as jobs:
        old = old_runs(jobs, days=days, states=_states(state, ENDED_EARLY), keep=keep)
        left = orphans(jobs)
        if not dry_run:
            for record in old:
                jobs.delete(record.id)
            for name in left:
                remove_orphan(jobs, name)
    if json:
        print_json({"runs": [record.id for record in old], "folders": left, "deleted": not dry_run})
        return
    verb = "Would delete" if dry_run else "Deleted"
    say(f"{verb} {_plural(len(old), 'run')} and {_plural(len(left), 'folder')} without a run.")


def _report(records: list[Record], *, json: bool) -> None:
    if json:
        print_json([record.to_dict() for record in records])
        return
    for record in records:
        say(f"Run {record.id[:SHORT]} is {record.state}{f': {record.message}' if record.message else '.'}")


def _doing(record: Record) -> str:
    if record.state != "running" or record.progress is None:
        return ""
    words = record.progress.describe()
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def _main_metric(record: Record) -> str:
    found = main_metric(record.metrics)
    return "" if found is None else f"{found[0].removeprefix('test_')} {number(found[1])}"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole % 60:02} s" if minutes else f"{seconds:.1f} s"


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
