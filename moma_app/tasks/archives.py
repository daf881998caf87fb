"""Zip files that users give us: looked through before anything is unpacked, and unpacked in memory only.

Nothing is ever written under a name that the file states.
"""

from __future__ import annotations

import posixpath
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Self

from moma_app.errors import InputError
from moma_app.tasks.limits import Limits
from moma_app.tasks.parsing import StructureError

_ENCRYPTED = 0x1
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


class Archive:
    """The files of a zip file, as a place of structure files; use it as a context.

    A single folder that holds everything is left out of the names.

    Args:
        path: the file.
        limits: of what it may hold.
        name: what the user calls it.

    Raises:
        InputError: it is no zip file, larger than the limits, protected by a password, or holds a link or a
            name that leads out of it.
    """

    def __init__(self, path: Path, limits: Limits, name: str | None = None) -> None:
        self.name = name or str(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as exc:
            raise InputError(f"{self.name} is damaged or no zip file.") from exc
        try:
            infos = self._checked(limits)
        except InputError:
            self._zip.close()
            raise
        by_name = {_plain(info.filename): info for info in infos}
        tops = {name.split("/")[0] for name in by_name}
        top = f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in by_name) else ""
        self._infos = {name.removeprefix(top): info for name, info in by_name.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return sorted(self._infos)

    def has(self, name: str) -> bool:
        """Say whether there is a file of that name."""
        return _plain(name) in self._infos

    def data(self, name: str) -> bytes:
        """Return the content of a file; no more than the zip file states of it.

        Raises:
            StructureError: there is no such file, or it is damaged.
        """
        info = self._infos.get(_plain(name))
        if info is None:
            raise StructureError("unparsable", f"the file {name!r} is not in {self.name}")
        try:
            with self._zip.open(info) as stream:
                return stream.read(info.file_size)
        except _BROKEN as exc:
            raise StructureError("unparsable", f"the file {name!r} is damaged in {self.name}") from exc

    def text(self, name: str) -> str:
        """Return the text of a file.

        Raises:
            StructureError: there is no such file, it is damaged, or not UTF-8 text.
        """
        try:
            return self.data(name).decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            raise StructureError("unparsable", f"the file {name!r} cannot be read") from exc

    def _checked(self, limits: Limits) -> list[zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if len(infos) > limits.members:
            raise InputError(f"{self.name} holds {len(infos):,} files: {limits.members:,} are allowed.")
        size = sum(info.file_size for info in infos)
        if size > limits.unpacked_bytes:
            raise InputError(
                f"{self.name} would unpack to {size / 1e6:,.0f} MB: {limits.unpacked_bytes / 1e6:,.0f} MB are allowed."
            )
        for info in infos:
            _refuse(info, self.name)
        kept = [info for info in infos if not info.is_dir() and not _is_litter(info.filename)]
        if not kept:
            raise InputError(f"{self.name} holds no files.")
        return kept


def _refuse(info: zipfile.ZipInfo, where: str) -> None:
    """Raise if a member is of a kind that no honest upload holds."""
    name = info.filename
    if (
        name.startswith(("/", "\\"))
        or ".." in name.replace("\\", "/").split("/")
        or ":" in name.split("/")[0]
    ):
        raise InputError(
            f"{where} holds a file whose name {name[:60]!r} leads out of it: pack the files anew."
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise InputError(f"{where} holds a link ({name[:60]!r}): pack the files themselves.")
    if info.flag_bits & _ENCRYPTED:
        raise InputError(f"{where} is protected by a password: pack it without.")


def _is_litter(name: str) -> bool:
    """Say whether a file is what an operating system adds of itself."""
    parts = name.split("/")
    return parts[0] == "__MACOSX" or parts[-1].startswith(".") or parts[-1] == "Thumbs.db"


def _plain(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/")) if name else ""
