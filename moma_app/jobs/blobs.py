"""Files that a unit needs, known by content: read in place, or carried to workers with disks of their own."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from moma_app.errors import DamagedFileError, DataNotFoundError, InputError
from moma_app.files import atomic_path, sha256_of_file


@dataclass(frozen=True)
class Blob:
    """One file.

    Attributes:
        path: where it lies on the submitter's machine.
        sha256: of its bytes; files with the same one are the same.
        size: in bytes.
    """

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InputError(f"{self.sha256!r} is no SHA-256: 64 hexadecimal digits are expected.")

    @classmethod
    def of(cls, path: Path) -> Blob:
        """Describe a file; it is not read again as long as inode, size and times are the same.

        Raises:
            DataNotFoundError: there is no such file.
        """
        try:
            place, state = path.resolve(), path.stat()
            digest = _sha256(place, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            return cls(str(place), digest, state.st_size)
        except OSError as exc:
            raise DataNotFoundError(f"{path} cannot be read ({exc.strerror}).") from exc

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name

    def is_here(self) -> bool:
        """Return whether the file lies at its path on this machine, judged by size; :meth:`find` reads it."""
        try:
            return Path(self.path).stat().st_size == self.size
        except OSError:
            return False

    def find(self, store: Path) -> Path:
        """Return a path on this machine with exactly these bytes.

        Args:
            store: folder of blobs that were carried here.

        Raises:
            DataNotFoundError: neither the path nor the store has it.
        """
        for path in (Path(self.path), self.stored_at(store)):
            if path.is_file() and path.stat().st_size == self.size and sha256_of_file(path) == self.sha256:
                return path
        machine = platform.node()
        if Path(self.path).is_file():
            raise DataNotFoundError(
                f"{self.path} on {machine} is not the file that the run was defined with (SHA-256 "
                f"{self.sha256[:16]}…): put that back, or start a new run."
            )
        raise DataNotFoundError(
            f"The worker on {machine} lacks {self.path}: share the folder with it, or resume the run while the worker "
            "is connected, so that the file is sent to it."
        )

    def stored_at(self, store: Path) -> Path:
        """Return where a carried copy lies; of its own name only the ending, by which some readers go, is a path."""
        return store / self.sha256 / f"content{Path(self.path).suffix}"

    def keep(self, content: bytes, store: Path) -> Path:
        """Store carried bytes.

        Raises:
            DamagedFileError: they are not this blob's.
        """
        target = self.stored_at(store)
        if target.is_file() and target.stat().st_size == self.size:
            return target
        with atomic_path(target) as temporary:
            temporary.write_bytes(content)
            if sha256_of_file(temporary) != self.sha256:
                raise DamagedFileError(f"{self.name} changed on its way to {platform.node()}.")
        return target


@lru_cache(maxsize=4096)
def _sha256(path: Path, *_state: int) -> str:
    """Return a file's SHA-256; a plan of many runs names the same few files in each."""
    return sha256_of_file(path)


def lay_out(
    files: Mapping[str, Blob], carried: Mapping[str, bytes], store: Path, folder: Path
) -> Path | None:
    """See that files are on this machine as they should be; arrange those that were carried here.

    Args:
        files: by their place in a data folder.
        carried: content by SHA-256, of files that came along.
        store: folder that keeps carried files, by content.
        folder: gets links to all files, each in its place, if any of them was carried.

    Returns:
        ``folder``, or ``None`` if all files lie where they lay for the submitter.

    Raises:
        DataNotFoundError: a file is missing, or is another one.
    """
    for blob in files.values():
        if blob.sha256 in carried and not Path(blob.path).is_file():
            blob.keep(carried[blob.sha256], store)
    found = {place: blob.find(store) for place, blob in files.items()}
    if all(path == Path(files[place].path) for place, path in found.items()):
        return None
    for place, path in found.items():
        link = folder / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path.absolute())
    return folder
