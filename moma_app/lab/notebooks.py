"""Where the notebooks are, and copies of them that keep what somebody has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import moma_app
from moma_app.errors import DataNotFoundError, InputError
from moma_app.files import atomic_write_text, lock_for, sha256_of_file

FIRST = "01_quickstart.ipynb"
"""The notebook to begin with."""
PACKAGE = Path(moma_app.__file__).parent
PLACES = (PACKAGE.parent / "notebooks", PACKAGE / "notebooks")
"""Beside the package in the repository; inside it where it was installed from a wheel (see ``setup.py``)."""
COPIES = Path("moma-notebooks")
"""Folder of copies, unless another is named."""
RECORD = ".moma-notebooks.json"
"""File in a folder of copies: the SHA-256 of each notebook as it was copied."""


@dataclass(frozen=True)
class Copied:
    """What became of the notebooks in a folder of copies.

    Attributes:
        folder: the folder.
        written: names of the notebooks that are new there, or newer than they were.
        kept: names of those that differ from the package's and were left as they are.
    """

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]


def in_repository() -> Path | None:
    """Return the folder of the notebooks in a clone of the repository; ``None`` for an installed package."""
    repository = PLACES[0]
    return repository if (repository / FIRST).is_file() else None


def originals() -> list[Path]:
    """Return the package's notebooks, in the order of their numbers.

    Raises:
        DataNotFoundError: the package was installed without them.
    """
    for place in PLACES:
        if (place / FIRST).is_file():
            return sorted(place.glob("[0-9]*.ipynb"))
    raise DataNotFoundError(
        f"The notebooks are neither in {PLACES[0]} nor in {PLACES[1]}: install moma-app anew, or clone its repository."
    )


def copy_notebooks(folder: Path) -> Copied:
    """Copy the notebooks to a folder; what somebody has changed there stays as it is.

    A copy that nobody has touched is replaced when the package brings a newer one.

    Raises:
        DataNotFoundError: the package was installed without notebooks.
        InputError: the folder cannot be written to, or is a file.
    """
    sources = originals()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock_for(folder / RECORD):
            return _copy(sources, folder)
    except OSError as exc:
        raise InputError(f"The notebooks cannot be copied to {folder} ({exc.strerror or exc}).") from exc


def _copy(sources: list[Path], folder: Path) -> Copied:
    record = _read_record(folder / RECORD)
    written, kept = [], []
    for source in sources:
        copy, digest = folder / source.name, sha256_of_file(source)
        present = sha256_of_file(copy) if copy.is_file() else None
        if present is None or (present != digest and present == record.get(source.name)):
            atomic_write_text(copy, source.read_text(encoding="utf-8"))
            written.append(source.name)
            present = digest
        if present == digest:
            record[source.name] = digest
        else:
            kept.append(source.name)
    atomic_write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
    return Copied(folder, tuple(written), tuple(kept))


def _read_record(path: Path) -> dict[str, str]:
    try:
        return {
            str(name): str(digest) for name, digest in json.loads(path.read_text(encoding="utf-8")).items()
        }
    except (FileNotFoundError, ValueError, AttributeError):
        return {}  # without a record every copy that differs counts as changed, and is kept
