"""Whether a folder can be written to, found out by doing it."""

from __future__ import annotations

import tempfile
from pathlib import Path


def nearest_folder(path: Path) -> Path:
    """Return the path itself if it exists, else the nearest of its parents that does."""
    return next(place for place in (path, *path.parents) if place.exists())


def why_not_writable(folder: Path) -> str | None:
    """Return why nothing can be written to a folder, or made where it is to be; ``None`` if all is well."""
    place = nearest_folder(folder)
    if not place.is_dir():
        return f"{place} is a file where a folder must be"
    try:
        # A folder within, rather than the permissions: those mean little to root, or on a full disk.
        with tempfile.TemporaryDirectory(dir=place, prefix=".moma-doctor-") as trial:
            (Path(trial) / "file").write_bytes(b"x")
    except OSError as exc:
        return f"{place} cannot be written to ({exc.strerror or exc})"
    return None
