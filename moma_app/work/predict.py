"""Unit ``predict``: properties of the user's structures, by a predictor or by all modules of a hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.errors import InputError
from moma_app.hub.hub import Hub
from moma_app.jobs.blobs import Blob
from moma_app.jobs.context import Context
from moma_app.jobs.spec import Needs, RunSpec
from moma_app.work.composing import AMC
from moma_app.work.finetune import PREDICTOR

if TYPE_CHECKING:
    from moma_app.jobs.store import RunStore

PRIORITY = 10
"""A prediction takes seconds, and somebody waits for it."""
CARD, TENSORS = "predictor.json", "predictor.safetensors"
"""Files of a predictor's folder."""


def predict_spec(
    structures: Sequence[Path],
    *,
    labels: Sequence[str] | None = None,
    predictor: Path | None = None,
    run: str | None = None,
    hub: str | None = None,
    modules: list[str] | None = None,
    skip_bad: bool = True,
    device: str = "auto",
) -> RunSpec:
    """Describe a prediction as a run.

    Without a predictor or a run, every module of the hub that has a head predicts its own property.

    Args:
        structures: CIF, POSCAR, pymatgen JSON or (ext)xyz files, folders of them, or tables (CSV, JSON
            lines, Parquet, Excel) with a column of structures.
        labels: what the user calls each of them, if not by its file's name; then none may be a folder.
        predictor: a predictor's folder.
        run: id of the finished run that made the predictor.
        hub: a hub's name or folder, ``builtin``, or ``None`` for the user's and the built-in one.
        modules: of the hub; by default all.
        skip_bad: report files that cannot be used, and predict the others; else they fail the run.
        device: where to compute.

    Raises:
        InputError: a file is missing, there is no predictor, or both a predictor and a run are named.
        UnknownNameError: there is no such run or module.
    """
    from moma_app.tasks.structure_files import structure_paths

    if predictor is not None and run is not None:
        raise InputError("Name a predictor's folder or the run that made it, not both.")
    paths = structure_paths(structures)
    if not paths:
        raise InputError("There is no structure to predict: give at least one file.")
    names = [path.name for path in paths] if labels is None else list(labels)
    if len(names) != len(paths):
        raise InputError(f"{len(names)} labels were given for {len(paths)} files.")
    files = {f"structures/{number}{_ending(path)}": Blob.of(path) for number, path in enumerate(paths)}
    arguments: dict[str, Any] = {
        "structures": [{"place": place, "label": name} for place, name in zip(files, names, strict=True)],
        "skip_bad": skip_bad,
        "device": device,
    }
    folder = _predictor_of(run) if run is not None else predictor
    if folder is None:
        amc = AMC(hub, list(Hub.open(hub)) if modules is None else modules).settled()
        arguments |= {"hub": amc.hub, "modules": amc.modules}
        files |= amc.files()
    else:
        files |= {f"{PREDICTOR}/{name}": Blob.of(_existing(folder, name)) for name in (CARD, TENSORS)}
    what = names[0] if len(names) == 1 else f"{len(names)} files"
    return RunSpec(
        unit="predict",
        arguments=arguments,
        name=f"predict {what}",
        needs=Needs(gpus=1 if device == "cuda" else 0, quick=True),
        priority=PRIORITY,
        files=files,
    )


def _ending(path: Path) -> str:
    """Return the ending that says how to read a file; nothing else of its name travels."""
    from moma_app.tasks.structure_files import ENDINGS

    ending = path.suffix.lower()
    return ending if ending in ENDINGS else ""


def _existing(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise InputError(f"{folder} is no predictor: it has no {name}.")
    return folder / name


def _predictor_of(run: str) -> Path:
    """Return the folder of the predictor that a run has kept."""
    from moma_app.config import get_settings
    from moma_app.errors import DataNotFoundError
    from moma_app.jobs.store import RunStore

    settings = get_settings()
    store: RunStore = RunStore(settings.tracking_uri, settings.home / "artefacts")
    record = store.find(run)
    if record.state != "finished":
        raise InputError(f"Run {record.id[:8]} is {record.state}: only a finished run has a predictor.")
    try:
        return store.locate(record.id, PREDICTOR, settings.home.absolute() / "predictors" / record.id)
    except DataNotFoundError as exc:
        raise InputError(
            f"Run {record.id[:8]} ({record.name}) made no predictor: `moma finetune` and `moma compose --instant` do."
        ) from exc


def predict(
    context: Context,
    *,
    structures: list[dict[str, str]],
    skip_bad: bool,
    device: str,
    hub: str | None = None,
    modules: list[str] | None = None,
) -> dict[str, Any]:
    """Do what :func:`predict_spec` describes.

    Returns:
        ``rows``: for each structure (and module) ``file``, ``formula``, ``n_atoms``, ``property``,
        ``value``, ``std``, ``unit``, ``test_mae``, ``module`` (empty for a predictor), ``note``, and
        ``structure``, its number from 0. ``refused``: ``file`` and ``reason`` of each. ``structures``:
        the first of them, as atomic numbers, cell (Å) and fractional coordinates, for a view.
    """
    from moma_app.work.machine import use_machine
    from moma_app.work.predicting import Refused, by_hub, by_predictor, read, result_of

    device = use_machine(device, context)
    refused = Refused(skip=skip_bad)
    good = read(context, structures, refused)
    if modules is None:
        found = by_predictor(context, good, refused, device)
    else:
        found = by_hub(context, good, refused, device, where=hub, modules=modules)
    return result_of(found, refused)
