"""What the commands of experiments share: options, lists of names and numbers, and how a plan is shown and done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moma_app.cli import running
from moma_app.cli.output import number, print_json, progress_bar, say, table, warn
from moma_app.errors import InputError, MomaError

if TYPE_CHECKING:
    from moma_app.experiments.plan import Plan
    from moma_app.experiments.standing import PlanStatus
    from moma_app.jobs.jobs import Jobs

Tasks = Annotated[
    str,
    typer.Option(
        "--tasks",
        metavar="NAMES",
        help="Names with commas; 'all' is every downstream task whose data is here.",
    ),
]
Splits = Annotated[str, typer.Option("--splits", metavar="SEEDS", help="Such as 0, 0,2 or 0-4.")]
Seeds = Annotated[
    str, typer.Option("--seeds", metavar="SEEDS", help="Of weights, batches and drawn rows, such as 0,1.")
]
Learners = Annotated[
    str, typer.Option("--learner", metavar="NAMES", help="What learns: instant, finetune, or another's name.")
]
Methods = Annotated[
    str | None,
    typer.Option(
        "--methods",
        metavar="NAMES",
        help="What learners start from: amc, select-average, all-average, random, best-single, bare, scratch, "
        "module:NAME.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="A setting of the learner, such as epochs=5; several times."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan, what is done, and an estimate; start nothing.")
]
Stop = Annotated[
    bool, typer.Option("--stop", help="Stop the plan's runs, such as those of --detach; start nothing.")
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Also write the table as CSV.")]

CHANGES = "changes"
"""Option of a learner that holds changes to its recipe."""
LONGEST = 5
"""Failed cells that are named."""


def names(text: str) -> list[str]:
    """Return names from a text with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def task_names(text: str) -> list[str]:
    """Return the tasks that are meant.

    Raises:
        InputError: none is here.
    """
    if text != "all":
        return names(text)
    from moma_app.tasks import list_tasks

    found = [
        task.name
        for task in list_tasks()
        if task.spec.role == "downstream" and task.spec.kind == "regression" and task.available
    ]
    if not found:
        raise InputError(
            "The data of no downstream task is on this machine: fetch some with `moma tasks fetch`, set MOMA_DATA, or "
            "name your own with --tasks."
        )
    return found


def numbers(text: str) -> list[int]:
    """Return whole numbers from a text such as ``0,2`` or ``0-4``.

    Raises:
        InputError: it holds something else.
    """
    found: list[int] = []
    for part in names(text):
        first, dash, last = part.partition("-")
        found += range(number_of(first), number_of(last) + 1) if dash else [number_of(part)]
    return found


def number_of(text: str) -> int:
    """Return a whole number.

    Raises:
        InputError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{text!r} is no whole number.") from None


def shared(tasks: str, splits: str, seeds: str, learner: str, given: list[str] | None) -> dict[str, Any]:
    """Return the settings that all plans share, from the options that say them.

    Raises:
        InputError: a text cannot be used; says which.
    """
    learners = names(learner)
    return {
        "tasks": task_names(tasks),
        "splits": numbers(splits),
        "seeds": numbers(seeds),
        "learners": learners,
        "options": learner_options(given, learners),
    }


def learner_options(given: list[str] | None, learners: list[str]) -> dict[str, dict[str, Any]]:
    """Return settings of learners from ``KEY=VALUE`` texts; each goes to those learners that know it.

    A setting of a recipe, such as ``fit.weight_decay=0.1``, goes to those that train by one.

    Raises:
        InputError: a text is not of that form, or no learner has such a setting.
    """
    from moma_app.experiments.registry import get_learner
    from moma_app.training.recipe import recipe_settings

    chosen: dict[str, dict[str, Any]] = {}
    for text in given or []:
        key, mark, value = text.partition("=")
        fields = {name: get_learner(name).options.model_fields for name in learners}
        owners = [name for name in learners if key in fields[name]]
        recipes = [name for name in learners if CHANGES in fields[name]]
        if mark and not owners and recipes and key in recipe_settings():
            for name in recipes:
                chosen.setdefault(name, {}).setdefault(CHANGES, {})[key] = toml_value(value)
            continue
        if not mark or not owners:
            raise InputError(
                f"--option {text}: no learner of this plan ({', '.join(learners)}) has this setting."
            )
        for name in owners:
            chosen.setdefault(name, {})[key] = value
    return chosen


def toml_value(text: str) -> Any:
    """Return the value that a text is in TOML (a number, true, a list); what is none is a string."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def carry_out(
    jobs: Jobs, plan: Plan, *, dry_run: bool, stop: bool, detach: bool, json: bool, quiet: bool
) -> bool:
    """Show a plan, stop it, start it, or do it to its end, as asked.

    Returns:
        Whether it has been done, so that its table is to be shown.

    Raises:
        MomaError: a cell has failed; what has finished is kept.
    """
    from moma_app.experiments import standing

    if dry_run:
        _show(jobs, plan, json=json)
        return False
    if stop:
        stopped = standing.stop(plan, jobs)
        status = standing.progress(plan, jobs)
        if json:
            print_json({"plan": plan.to_dict(), "stopped": stopped, "status": status.counts()})
        else:
            say(f"{len(stopped)} cells stopped; {status.describe()}.")
        return False
    if detach:
        if jobs.engine == "inline":
            raise typer.BadParameter("--detach needs workers: leave --engine inline out.")
        begun = standing.start(plan, jobs)
        status = standing.progress(plan, jobs)
        if json:
            print_json({"plan": plan.to_dict(), "started": begun, "status": status.counts()})
        else:
            say(f"{len(begun)} cells started; {status.describe()}.")
            say("Next: the same command with --dry-run shows how it stands, without --detach its table.")
        return False
    with progress_bar(quiet=quiet) as progress:
        status = standing.run(plan, jobs, progress)
    _warn_of_failures(status)
    if not status.done:
        raise MomaError(f"No cell of the plan has finished: {status.describe()}.")
    return True


def _show(jobs: Jobs, plan: Plan, *, json: bool) -> None:
    from moma_app.experiments.estimate import estimate, in_words
    from moma_app.experiments.standing import progress

    status = progress(plan, jobs)
    left = estimate(status, jobs)
    if json:
        print_json(
            {
                "plan": plan.to_dict(),
                "status": status.counts(),
                "estimate": vars(left),
                "cells": [
                    {
                        "cell": each.cell.label,
                        "standing": each.standing,
                        "run": each.run,
                        "message": each.message,
                    }
                    for each in status.cells
                ],
            }
        )
        return
    by_task: dict[str, list[str]] = {}
    for each in status.cells:
        by_task.setdefault(each.cell.task, []).append(each.standing)
    table(
        f"{plan.name}: {status.describe()}",
        [("task", "left"), *((what, "right") for what in ("cells", "done", "running", "failed", "missing"))],
        [
            (
                task,
                len(found),
                found.count("done"),
                found.count("running") + found.count("queued"),
                found.count("failed"),
                found.count("missing"),
            )
            for task, found in by_task.items()
        ],
    )
    _warn_of_failures(status)
    if left.cells:
        basis = "measured here" if left.measured == left.cells else "a first guess for two CPU cores"
        if 0 < left.measured < left.cells:
            basis = f"{left.measured} of them measured here, the others guessed"
        say(f"Left: {left.cells} runs, about {in_words(left.seconds)} on one worker ({basis}).")


def _warn_of_failures(status: PlanStatus) -> None:
    failed = status.of("failed")
    for each in failed[:LONGEST]:
        warn(f"{each.cell.label} failed: {each.message} (run {each.run[: running.SHORT]})")
    if len(failed) > LONGEST:
        warn(f"… and {len(failed) - LONGEST} more failed; `moma runs list --state failed` shows them.")


def write_csv(path: Path | None, rows: list[dict[str, Any]], *, quiet: bool) -> None:
    """Write a table as CSV, if a path was given, and say so."""
    if path is None:
        return
    import csv
    import io

    from moma_app.files import atomic_write_text

    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write_text(path, text.getvalue())
    if not quiet:
        say(f"CSV: {path}")


def with_spread(mean: float | None, std: float | None, digits: int = 3) -> str:
    """Write a mean with its standard deviation; without one where there is a single value."""
    return number(mean, digits) + ("" if std is None else f" ± {number(std, 2)}")


def signed(value: float | None, std: float | None) -> str:
    """Write a difference in % with its standard deviation."""
    if value is None:
        return "–"
    return f"{value:+.1f}%" + ("" if std is None else f" ± {std:.1f}")
