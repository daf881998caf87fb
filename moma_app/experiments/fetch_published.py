"""Gets the published AMC weights from the authors' repository and writes them as one table."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from moma_app.config import get_settings
from moma_app.errors import DamagedFileError
from moma_app.experiments.published import COLUMNS, FOLDER, MODULES, NAME, PublishedWeights, parse
from moma_app.files import atomic_write_text
from moma_app.progress import Listener, Step, silent
from moma_app.tasks.downloads import read_text

URL = "https://raw.githubusercontent.com/GenSI-THUAIR/MoMa/f5bd946a943b69d738bc2653ae43152fe24875a1/json"
"""Folder of the authors' files at a fixed commit (CC BY-NC 4.0)."""
SHA256 = "8b4f070f034363a7726fd781af1af1c36919fac1daebaaffc37834a98dafffb8"
"""Of the table that is made of them."""
SPLITS = range(5)
NUMBERED = {str(number): name for number, name in enumerate(MODULES)}
"""Modules by the authors' numbers."""
DIGITS = 8
"""Significant digits of a weight in the table."""


def fetch_published(
    folder: Path | None = None, *, url: str = URL, force: bool = False, progress: Listener = silent
) -> Path:
    """Download the published weights and write them as ``published/moma_weights_jmp.csv``.

    For each split there are two files: the numbers of the modules that have weight
    (``module_ids/split_0.json``: task to "2,4,5") and their weights (``module_weights/split_0.json``: task
    to a list in that order).

    Args:
        folder: data folder to write to; by default the cache.
        url: address of the folder that holds the authors' files.
        force: fetch again what is there.
        progress: told of each split.

    Returns:
        Path of the table.

    Raises:
        DataNotFoundError: the address cannot be reached; nothing is written.
        DamagedFileError: what it gives is not in the authors' form, or not what they published.
    """
    path = (folder or get_settings().cache_folder) / FOLDER / NAME
    if path.is_file() and not force:
        return path
    rows: list[tuple[int, str, str, float]] = []
    for split in SPLITS:
        share = split / len(SPLITS)
        progress(Step(what="downloading published weights", done=split, total=len(SPLITS), fraction=share))
        rows += _split_rows(split, url.rstrip("/"))
    text = _to_csv(rows)
    _check(text, path, url)
    atomic_write_text(path, text)
    return path


def _check(text: str, path: Path, url: str) -> PublishedWeights:
    if url == URL and hashlib.sha256(text.encode()).hexdigest() != SHA256:
        raise DamagedFileError(f"What {url} gave is not what the authors published there: try again.")
    return parse(text, path)


def _split_rows(split: int, url: str) -> list[tuple[int, str, str, float]]:
    ids = _object(f"{url}/module_ids/split_{split}.json")
    weights = _object(f"{url}/module_weights/split_{split}.json")
    try:
        return [
            (split, task, NUMBERED[number], float(weight))
            for task in dict.fromkeys([*ids, *weights])
            for number, weight in zip(ids[task].split(","), weights[task], strict=True)
        ]
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        raise DamagedFileError(
            f"{url}: module_ids and module_weights of split {split} do not fit together."
        ) from exc


def _object(url: str) -> dict[str, Any]:
    try:
        found = json.loads(read_text(url))
    except ValueError as exc:
        raise DamagedFileError(f"{url} is no JSON file: try again.") from exc
    if not isinstance(found, dict):
        raise DamagedFileError(f"{url} is no table of weights by task.")
    return found


def _to_csv(rows: list[tuple[int, str, str, float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((split, task, module, f"{weight:.{DIGITS}g}") for split, task, module, weight in rows)
    return text.getvalue()
