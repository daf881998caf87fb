"""Files that are either wholly there or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def temporary_file(folder: Path, name: str) -> Iterator[Path]:
    """Yield a new hidden file in ``folder``; what the block does not rename is removed.

    Rename it with :func:`publish`, which makes its content durable first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=folder, prefix=f".{name}.", suffix=".part")
    os.close(handle)
    try:
        yield Path(path)
    finally:
        Path(path).unlink(missing_ok=True)


def publish(temporary: Path, target: Path) -> None:
    """Flush ``temporary`` to disk and put it in the place of ``target`` in one step."""
    with temporary.open("rb+") as stream:
        os.fsync(stream.fileno())
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    temporary.replace(target)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that replaces it when the block succeeds.

    When the block raises, nothing is left behind and an older ``target`` stays untouched.
    """
    with temporary_file(target.parent, target.name) as temporary:
        yield temporary
        publish(temporary, target)


def atomic_write_text(target: Path, text: str) -> None:
    """Write ``text`` as UTF-8 so that readers see the old file or the new one, never a part."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def lock_for(path: Path) -> FileLock:
    """Return an inter-process lock that guards ``path`` (a file or folder)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(str(path.parent / f".{path.name}.lock"))
