"""Unit ``import``: a user's file checked row by row, and made a task if asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moma_app.errors import InputError
from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.jobs.spec import Needs, RunSpec

PRIORITY = 10
"""Somebody waits for it."""
MOST_REFUSED = 1000
"""Refused rows in the result."""


def import_spec(
    path: Path,
    *,
    target: str,
    unit: str,
    name: str,
    file_name: str | None = None,
    transform: str | None = None,
    classes: bool = False,
    structure: str | None = None,
    id_column: str | None = None,
    split_column: str | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
) -> RunSpec:
    """Describe an import as a run; see :func:`moma_app.tasks.importing.import_task`.

    Args:
        path: the file.
        target, unit, name, transform: of the task.
        file_name: what the user calls the file.
        classes: the target is a class.
        structure, id_column, split_column: columns, if their names do not tell.
        dry_run: only check; nothing is written.
        overwrite: replace an imported task of the same name.

    Raises:
        DataNotFoundError: there is no such file.
    """
    return RunSpec(
        unit="import",
        arguments={
            "file_name": file_name or path.name,
            "target": target,
            "unit": unit,
            "name": name,
            "transform": transform,
            "classes": classes,
            "structure": structure,
            "id_column": id_column,
            "split_column": split_column,
            "dry_run": dry_run,
            "overwrite": overwrite,
        },
        name=f"{'check' if dry_run else 'import'} {file_name or path.name}",
        task="" if dry_run else name,
        needs=Needs(quick=True),
        priority=PRIORITY,
        files={f"imported/file{path.suffix}": Blob.of(path)},
    )


def import_file(
    context: Context,
    *,
    file_name: str,
    target: str,
    unit: str,
    name: str,
    transform: str | None,
    classes: bool,
    structure: str | None,
    id_column: str | None,
    split_column: str | None,
    dry_run: bool,
    overwrite: bool,
) -> dict[str, Any]:
    """Do what :func:`import_spec` describes.

    Returns:
        ``report``: an ``ImportReport`` as JSON, with the first 1,000 refused rows; ``metrics``.

    Raises:
        InputError: the file cannot be used, or this worker does not see the user's data folder.
    """
    from moma_app.tasks.importing import import_task
    from moma_app.tasks.report import ImportRefusedError

    if not context.shared and not dry_run:
        raise InputError(
            "This worker does not see your data folder: import the file with `moma tasks import`."
        )
    assert context.order is not None, "an import is ordered with its file"
    ((place, blob),) = context.order.spec.files.items()
    path = Path(blob.path) if context.carried is None else context.carried / place
    try:
        report = import_task(
            path,
            target=target,
            unit=unit,
            name=name,
            transform=transform,
            kind="classification" if classes else "regression",
            structure=structure,
            id_column=id_column,
            split_column=split_column,
            overwrite=overwrite,
            dry_run=dry_run,
            file_name=file_name,
            progress=context.progress,
        )
    except ImportRefusedError as exc:
        report = exc.report
    told = report.to_dict()
    told["refused"] = told["refused"][:MOST_REFUSED]
    return {
        "report": told,
        "metrics": {"accepted_rows": report.n_accepted, "refused_rows": len(report.refused)},
    }
