"""``moma tasks``: list, show, fetch, import, split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from moma_app.cli import options
from moma_app.cli.output import number, print_json, progress_bar, say, table, warn
from moma_app.errors import InputError

app = typer.Typer(
    help="Property tasks: what there is, where the data comes from, your own data.", no_args_is_help=True
)


@app.command("list")
def list_tasks(
    available: Annotated[
        bool, typer.Option("--available", help="Only tasks whose data is on this machine.")
    ] = False,
    role: Annotated[str | None, typer.Option(help="Only this role: upstream, downstream, user, …")] = None,
    json: options.Json = False,
) -> None:
    """List all tasks of the catalogue and your own."""
    from moma_app.tasks import list_tasks as all_tasks

    rows: list[dict[str, Any]] = [
        {
            "name": task.name,
            "role": task.spec.role,
            "kind": task.spec.kind,
            "property": task.spec.property,
            "unit": task.spec.unit,
            "published_rows": task.spec.published_rows,
            "available": task.available,
        }
        for task in all_tasks()
        if (not available or task.available) and role in (None, task.spec.role)
    ]
    if json:
        print_json(rows)
        return
    table(
        None,
        [
            ("task", "left"),
            ("role", "left"),
            ("rows", "right"),
            ("data", "left"),
            ("unit", "left"),
            ("property", "left"),
        ],
        [
            (
                r["name"],
                r["role"],
                r["published_rows"] or "–",
                "here" if r["available"] else "–",
                r["unit"],
                r["property"],
            )
            for r in rows
        ],
    )
    say(f"{sum(r['available'] for r in rows)} of {len(rows)} tasks have their data on this machine.")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of the task.")], json: options.Json = False) -> None:
    """Show what a task is, and its data if it is here."""
    from moma_app.tasks import get_task

    task = get_task(name)
    facts: dict[str, Any] = {**task.spec.model_dump(exclude={"source"}), "available": task.available}
    if task.available:
        facts |= {"path": str(task.path) if task.path else "embedded", "data": task.load().summary()}
    if json:
        print_json(facts)
        return
    data = facts.pop("data", None)
    for key, value in facts.items():
        if value not in (None, "", (), False):
            say(f"{key.replace('_', ' '):16} {value}")
    if data:
        say(f"{'rows':16} {data['rows']}")
        say(
            f"{'atoms per cell':16} {number(data['atoms_per_structure']['mean'])} (max {data['atoms_per_structure']['max']})"
        )
        target = data["target"]
        if "mean" in target:
            say(
                f"{'target':16} mean {number(target['mean'])}, std {number(target['std'])}, "
                f"{number(target['min'])} to {number(target['max'])} {data['unit']}"
            )


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Names of tasks.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All tasks of the catalogue.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is there.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Download tasks through matminer, and the published splits, into the cache."""
    from moma_app.tasks import fetch_tasks

    if bool(names) == every:
        raise InputError("Name the tasks to fetch, or give --all.")
    with progress_bar(quiet=quiet) as progress:
        reports = fetch_tasks(names or None, progress, force=force)
    if json:
        print_json([report.to_dict() for report in reports])
    else:
        for report in reports:
            say(f"{report.task}: {report.status}" + "".join(f"\n  {note}" for note in report.notes))
    failed = [report.task for report in reports if report.status == "failed"]
    if failed:
        raise InputError(f"{len(failed)} of {len(reports)} tasks could not be fetched: {', '.join(failed)}.")


@app.command("import")
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="CSV, Excel, JSON, Parquet, extxyz, ASE database, or a folder or zip with id_prop.csv."
        ),
    ],
    target: Annotated[str, typer.Option("--target", help="Column or property to predict.")] = "target",
    unit: Annotated[str, typer.Option("--unit", help="Unit of the raw values, e.g. eV.")] = "",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the task; by default the file's.")
    ] = None,
    transform: Annotated[str | None, typer.Option("--transform", help="log10, ln, ln1p, …")] = None,
    structure: Annotated[str | None, typer.Option("--structure", help="Column with the structure.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column with the ids.")] = None,
    split_column: Annotated[
        str | None, typer.Option("--split-column", help="Column that says train, val or test for each row.")
    ] = None,
    classification: Annotated[bool, typer.Option("--classes", help="The target is a class.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the file if one row is refused.")] = False,
    overwrite: options.Overwrite = False,
    check: Annotated[bool, typer.Option("--check", help="Only report; write nothing.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a task of your own structures and values."""
    from moma_app.tasks import ImportRefusedError, import_task

    with progress_bar(quiet=quiet) as progress:
        try:
            report = import_task(
                path,
                target=target,
                unit=unit,
                name=name,
                transform=transform,
                kind="classification" if classification else "regression",
                structure=structure,
                id_column=id_column,
                split_column=split_column,
                dry_run=check,
                strict=strict,
                overwrite=overwrite,
                progress=progress,
            )
        except ImportRefusedError as exc:
            _refusals(exc.report.refused)
            raise
    if json:
        print_json(report.to_dict())
        return
    _refusals(report.refused)
    for note in report.notes:
        say(note)
    summary = report.target_summary
    done = "can be taken, nothing was written" if check else f"taken, written to {report.path}"
    say(f"Task {report.name}: {report.n_accepted} of {report.n_read} rows {done}.")
    if "mean" in summary:
        say(
            f"Target: mean {number(summary['mean'])}, std {number(summary['std'])}, "
            f"{number(summary['min'])} to {number(summary['max'])} {report.unit}."
        )
    if not check:
        say(f"Next: moma compose {report.name}")


@app.command()
def split(
    name: Annotated[str, typer.Argument(help="Name of a task that you imported.")],
    fractions: Annotated[
        str, typer.Option("--fractions", help="Of train, validation and test.")
    ] = "0.7,0.15,0.15",
    group: Annotated[
        Literal["formula", "elements"] | None,
        typer.Option("--group", help="Keep rows of one formula, or one set of elements, in one part."),
    ] = None,
    hold_out: Annotated[
        str | None, typer.Option("--hold-out", help="Structures with these elements are the test part: Li,Na")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of splits.")] = 5,
    random: Annotated[
        bool, typer.Option("--random", help="Remove your own split: rows are split at random again.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Give your own task a split of its own."""
    from moma_app.tasks import get_task
    from moma_app.tasks.own_splits import clear_split, set_split

    task = get_task(name)
    if random:
        removed = clear_split(task)
        if json:
            print_json({"task": name, "removed": removed})
        else:
            say(f"{name} is split at random{'' if removed else ', as before'}.")
        return
    held_out = [symbol.strip() for symbol in (hold_out or "").split(",") if symbol.strip()]
    written = set_split(task, fractions=_numbers(fractions), group=group, held_out=held_out, seeds=seeds)
    if json:
        sizes = [dict(zip(("train", "val", "test"), size, strict=True)) for size in written.sizes]
        print_json({"task": name, "path": str(written.path), "sizes": sizes})
        return
    for seed, (train, val, test) in enumerate(written.sizes):
        say(f"split {seed}: {train} train, {val} validation, {test} test rows")
    say(f"Written to {written.path}; `moma tasks split {name} --random` removes it.")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"{text!r} are no fractions: three numbers as in 0.8,0.1,0.1 are expected."
        ) from None


def _refusals(refused: list[Any], most: int = 20) -> None:
    for refusal in refused[:most]:
        warn(str(refusal))
    if len(refused) > most:
        warn(f"… and {len(refused) - most} more refused rows (--json lists all).")
