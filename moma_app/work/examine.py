"""Unit ``examine``: which structures of a task stand in it, or in other tasks, more than once."""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.jobs.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moma_app.tasks.data import TaskData
    from moma_app.tasks.duplicates import Duplicate
    from moma_app.tasks.task import Task

TABLE = "duplicates.csv"
"""Artefact: all pairs, one a line, with the fields of :class:`moma_app.tasks.duplicates.Duplicate`."""
MOST_KEPT = 1000
"""Pairs in the result; the table has all."""


def examine_spec(task: Task, others: Sequence[str], *, confirm: int = 0) -> RunSpec:
    """Describe a search for duplicates as a run.

    Args:
        task: whose rows are looked for.
        others: names of the tasks to look through, besides the task itself.
        confirm: so many of the closest pairs whose numbers differ are also checked by pymatgen's matcher.

    Raises:
        UnknownNameError: there is no such task.
        InputError: the data of another task is not on this machine.
    """
    from moma_app.errors import InputError
    from moma_app.tasks import get_task

    tasks = {name: get_task(name) for name in others if name != task.name}
    absent = [name for name, other in tasks.items() if not other.available]
    if absent:
        raise InputError(
            f"The data of {', '.join(absent)} is not on this machine: fetch it, or leave it out."
        )
    files = {
        place: path
        for one in (task, *tasks.values())
        for place, path in one.files().items()
        if place.startswith("tasks/")
    }
    return RunSpec(
        unit="examine",
        arguments={"task": task.name, "others": list(tasks), "confirm": confirm},
        name=f"duplicates of {task.name} in {len(tasks)} other tasks",
        task=task.name,
        files={place: Blob.of(path) for place, path in files.items()},
    )


def examine(context: Context, *, task: str, others: list[str], confirm: int) -> dict[str, Any]:
    """Do what :func:`examine_spec` describes.

    Returns:
        ``report``, a :class:`moma_app.tasks.duplicates.DuplicateReport` with the closest 1,000 pairs, and
        ``metrics``: ``repeated_rows`` of the task that stand once more anywhere, and ``pairs``.
    """
    from moma_app.tasks import get_task
    from moma_app.tasks.duplicates import find_duplicates

    data = get_task(task).load(context.progress)
    report = find_duplicates(data, [get_task(name) for name in others], context.progress)
    context.facts(data_hash=data.content_hash())
    context.artefacts.mkdir(parents=True, exist_ok=True)
    _write_table(context.artefacts / TABLE, report.pairs)
    kept = report.to_dict(MOST_KEPT)
    kept["pairs"] = _confirmed(context, report.closest(MOST_KEPT), data, confirm)
    repeated = len({pair.position for pair in report.pairs})
    return {"report": kept, "metrics": {"repeated_rows": repeated, "pairs": len(report.pairs)}}


def _write_table(path: Path, pairs: Sequence[Duplicate]) -> None:
    from moma_app.tasks.duplicates import Duplicate

    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, [field.name for field in fields(Duplicate)])
        table.writeheader()
        table.writerows(asdict(pair) for pair in pairs)


def _confirmed(
    context: Context, pairs: Sequence[Duplicate], data: TaskData, confirm: int
) -> list[dict[str, Any]]:
    """Return pairs in JSON-ready form, with the matcher's word on so many of those whose numbers differ."""
    from moma_app.progress import Step
    from moma_app.tasks import get_task
    from moma_app.tasks.duplicates import confirmed

    asked = [place for place, pair in enumerate(pairs) if not pair.identical][:confirm]
    done = list(pairs)
    loaded = {data.spec.name: data}
    for count, place in enumerate(asked):
        context.progress(Step(what="confirming pairs", done=count, total=len(asked)))
        name = pairs[place].task
        if name not in loaded:
            loaded[name] = get_task(name).load()
        done[place] = confirmed(pairs[place], data, loaded[name])
    return [asdict(pair) for pair in done]
