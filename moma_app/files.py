"""Files that are either wholly there or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from moma_app.errors import InputError, UnknownNameError


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


def named_toml(folder: Path, name: str | Path, what: str) -> tuple[Path, dict[str, Any]]:
    """Read a TOML file that comes with the package, by its name, or a file of the user's.

    Args:
        folder: of the package's own files, ``NAME.toml``.
        name: of one of them, or a path.
        what: they are, for messages.

    Returns:
        The file's path and content.

    Raises:
        UnknownNameError: neither a known name nor a file.
        InputError: the file is not TOML.
    """
    path = folder / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise UnknownNameError(what, str(name), toml_names(folder), hint="A TOML file works too.")
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError(f"The {what} {path} is no TOML file: {exc}.") from exc


def toml_names(folder: Path) -> list[str]:
    """Return the names of the TOML files in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def lock_for(path: Path) -> FileLock:
    """Return an inter-process lock that guards ``path`` (a file or folder)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(str(path.parent / f".{path.name}.lock"))
