"""Where the structure files that a table names lie: in a folder or in a zip file, never outside of it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from moma_app.errors import InputError
from moma_app.tasks.parsing import StructureError


class Place(Protocol):
    """Files by their names, which may hold slashes."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    def has(self, name: str) -> bool:
        """Say whether there is a file of that name."""
        ...

    def text(self, name: str) -> str:
        """Return the text of a file.

        Raises:
            StructureError: there is no such file in here, or it is not UTF-8 text.
        """
        ...


class Nowhere:
    """The place of a table that came alone."""

    name = "the table"

    def has(self, name: str) -> bool:
        """Say that there is no file."""
        return False

    def text(self, name: str) -> str:
        """Raise ``StructureError``."""
        raise StructureError(
            "unparsable", f"the file {name!r} did not come with the table: put both in a zip file"
        )


class Folder:
    """A folder on disk.

    Args:
        path: the folder.

    Raises:
        InputError: there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError(f"There is no folder {path}.")
        self._path = path.resolve()
        self.name = str(path)

    def has(self, name: str) -> bool:
        """Say whether there is a file of that name."""
        try:
            return (self._path / name).is_file()
        except (OSError, ValueError):
            return False

    def text(self, name: str) -> str:
        """Return the text of a file inside the folder."""
        try:
            path = (self._path / name).resolve()
            if not path.is_relative_to(self._path):
                raise StructureError("unparsable", f"the path {name!r} leads out of {self.name}")
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError, ValueError) as exc:
            raise StructureError("unparsable", f"the file {name!r} cannot be read") from exc
