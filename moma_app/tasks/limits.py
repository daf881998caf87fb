"""How much of a user's file is read, so that a broken or hostile one cannot fill memory or disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moma_app.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Limits of one import.

    Attributes:
        file_bytes: largest file; None for any.
        unpacked_bytes: most that all members of a zip file (or Excel workbook) may hold unpacked.
        members: most members of a zip file.
    """

    file_bytes: int | None = None
    unpacked_bytes: int = 2**30
    members: int = 200_000

    def check_file(self, path: Path, name: str) -> None:
        """Raise ``InputError`` if the file at ``path``, which the user calls ``name``, is too large."""
        size = path.stat().st_size if path.is_file() else 0
        if self.file_bytes is not None and size > self.file_bytes:
            raise InputError(f"{name} has {size / 1e6:,.0f} MB: {self.file_bytes / 1e6:,.0f} MB are allowed.")
