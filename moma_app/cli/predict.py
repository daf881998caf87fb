"""``moma predict``: a predictor on structure files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moma_app.cli import options
from moma_app.cli.output import number, print_json, progress_bar, say, table, warn
from moma_app.errors import InputError, StructureRefusedError

if TYPE_CHECKING:
    from moma_app.tasks.structure_files import NamedStructure
    from moma_app.training.predictor import Prediction, Predictor


def predict(
    predictor: Annotated[
        Path, typer.Argument(help="Folder of a predictor (from moma finetune or compose --instant).")
    ],
    files: options.Files,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a CSV file.")] = None,
    skip: Annotated[
        bool, typer.Option("--skip-bad", help="Leave unusable files out instead of stopping.")
    ] = False,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict a property of structures."""
    from moma_app.training.predictor import Predictor

    loaded = Predictor.load(predictor)
    structures = read_all(files, skip=skip)
    with naming(structures), progress_bar(quiet=quiet) as progress:
        prediction = loaded.predict(
            [structure.crystal for structure in structures],
            device=options.use_machine(device),
            progress=progress,
        )
    rows = _rows(loaded, structures, prediction)
    if output is not None:
        _write_csv(output, rows)
        say(f"Wrote {len(rows)} predictions of {loaded.info.target.property} to {output}.")
    if json:
        print_json(rows)
    elif output is None:
        target = loaded.info.target
        with_std = prediction.std is not None
        columns = [("file", "left"), ("formula", "left"), (f"{target.property} ({target.unit})", "right")]
        table(
            None,
            columns + ([("± std", "right")] if with_std else []),
            [
                [
                    r["file"],
                    r["formula"],
                    number(r["prediction"]),
                    *([number(r["std"], 2)] if with_std else []),
                ]
                for r in rows
            ],
        )


def read_all(files: list[Path], *, skip: bool) -> list[NamedStructure]:
    """Read structure files; unusable ones are an error, or are left out with a warning."""
    from moma_app.tasks.structure_files import read_structure_files

    structures, bad = read_structure_files(files)
    if bad and not skip:
        rest = f" (and {len(bad) - 1} more files are unusable)" if len(bad) > 1 else ""
        raise InputError(f"{bad[0].label}: {bad[0].reason}{rest}; nothing was predicted.")
    for file in bad:
        warn(f"{file.label} is left out: {file.reason}")
    if not structures:
        raise InputError("None of the files has a usable structure.")
    return structures


@contextmanager
def naming(structures: list[NamedStructure]) -> Iterator[None]:
    """Let an error about one of the structures name its file instead of its position."""
    try:
        yield
    except StructureRefusedError as exc:
        raise InputError(
            f"{structures[exc.position].label}: {exc.reason} Nothing was predicted; leave that file out."
        ) from exc


def _rows(
    predictor: Predictor, structures: list[NamedStructure], prediction: Prediction
) -> list[dict[str, Any]]:
    target = predictor.info.target
    return [
        {
            "file": structure.label,
            "formula": structure.crystal.to_pymatgen().composition.reduced_formula,
            "property": target.property,
            "prediction": float(prediction.values[i]),
            "std": None if prediction.std is None else float(prediction.std[i]),
            "unit": target.unit,
            "note": structure.note,
        }
        for i, structure in enumerate(structures)
    ]


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
