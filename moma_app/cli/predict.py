"""``moma predict``: a predictor on structure files."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from moma_app.cli import options, running
from moma_app.cli.output import number, print_json, progress_bar, say, table, warn
from moma_app.errors import InputError

RUN = re.compile(r"[0-9a-f]{4,32}")
"""What the id of a run looks like, whole or cut short."""


def predict(
    predictor: Annotated[
        str,
        typer.Argument(
            help="Folder of a predictor (from moma finetune or compose --instant), or the run that made it."
        ),
    ],
    files: options.Files,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a CSV file.")] = None,
    skip: options.SkipBad = False,
    device: options.Device = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict a property of structures."""
    from moma_app.work.predict import predict_spec

    made_by_run = RUN.fullmatch(predictor) and not Path(predictor).exists()
    with running.open_jobs(engine, scheduler) as jobs:
        spec = predict_spec(
            files,
            predictor=None if made_by_run else Path(predictor),
            run=predictor if made_by_run else None,
            skip_bad=skip,
            device=device or jobs.settings.device,
        )
        with progress_bar(quiet=quiet) as progress:
            rows = [_row(row) for row in usable_rows(running.do(jobs, spec, progress))]
    target, unit = rows[0]["property"], rows[0]["unit"]
    if output is not None:
        _write_csv(output, rows)
        say(f"Wrote {len(rows)} predictions of {target} to {output}.")
    if json:
        print_json(rows)
    elif output is None:
        with_std = rows[0]["std"] is not None
        columns = [("file", "left"), ("formula", "left"), (f"{target} ({unit})", "right")]
        table(
            None,
            columns + ([("± std", "right")] if with_std else []),
            [
                [
                    row["file"],
                    row["formula"],
                    number(row["prediction"]),
                    *([number(row["std"], 2)] if with_std else []),
                ]
                for row in rows
            ],
        )


def usable_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the predictions of a run, and warn of files that were left out.

    Raises:
        InputError: none could be used.
    """
    for file in result["refused"]:
        warn(f"{file['file']} is left out: {file['reason']}")
    if not result["rows"]:
        raise InputError("None of the files has a usable structure.")
    rows: list[dict[str, Any]] = result["rows"]
    return rows


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "file": row["file"],
        "formula": row["formula"],
        "property": row["property"],
        "prediction": row["value"],
        "std": row["std"],
        "unit": row["unit"],
        "note": row["note"],
    }


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    from moma_app.files import atomic_write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    try:
        atomic_write_text(path, text.getvalue())
    except OSError as exc:
        raise InputError(f"{path} cannot be written ({exc.strerror}).") from exc
