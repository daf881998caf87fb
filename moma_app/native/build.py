"""Build the C kernels on first use, and keep the result."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.errors import InputError
from moma_app.files import atomic_path, lock_for

if TYPE_CHECKING:
    from moma_app.config import Settings

FOLDER = Path(__file__).parent
SOURCES = tuple(sorted(FOLDER.glob("*.c")))
HEADERS = tuple(sorted(FOLDER.glob("*.h")))
COMPILERS = ("cc", "gcc", "clang")
FLAG_SETS = (("-O3", "-march=native"), ("-O3", "-mcpu=native"), ("-O3",))
"""Tried in this order: some compilers know only one way to name the processor at hand."""
TIMEOUT = 120
"""Seconds for one compilation, which takes about two."""


@dataclass(frozen=True)
class Kernels:
    """The compiled library, or the reason why there is none.

    Attributes:
        library: loaded, or ``None``.
        about: which file is used, or one sentence on what is missing and how to mend it.
        missing: there is no library though the settings would use one.
    """

    library: ctypes.CDLL | None
    about: str
    missing: bool = False


def kernels() -> Kernels:
    """Return the compiled kernels for this machine and the present settings.

    Raises:
        InputError: the settings demand them (``kernel = "native"``) and they cannot be had, or the
            settings cannot be read.
    """
    return kernels_for(*_settings())


def kernels_for(wish: str, home: Path) -> Kernels:
    """Return the kernels for a value of the setting ``kernel`` and of ``home``.

    Raises:
        InputError: the wish is ``native``, and they cannot be had.
    """
    return _kernels(wish, home, os.environ.get("PATH"), os.environ.get("CC"))


@cache
def _kernels(wish: str, home: Path, _path: str | None, _cc: str | None) -> Kernels:
    if wish == "torch":
        return Kernels(None, "PyTorch computes everything, as the setting kernel = torch asks.")
    try:
        path = build(home / "native")
        return Kernels(ctypes.CDLL(str(path)), f"Messages and nearest rows are computed by {path}.")
    except (OSError, subprocess.SubprocessError, LookupError) as exc:
        reason = " ".join(str(exc).split())
        about = (
            f"The fast CPU kernels cannot be built ({reason}): PyTorch computes everything, at about "
            "half the speed. Install a C compiler (Debian, Ubuntu: apt install gcc; conda: c-compiler)."
        )
    if wish == "native":
        raise InputError(f"The setting kernel is native, but: {about}")
    return Kernels(None, about, missing=True)


def build(folder: Path) -> Path:
    """Compile the kernels into ``folder``, unless they are there; return the shared library.

    Raises:
        LookupError: there is no C compiler.
        OSError: the folder cannot be written.
        subprocess.SubprocessError: the compiler failed, or took too long.
    """
    compiler = _compiler()
    source = b"|".join(path.read_bytes() for path in (*SOURCES, *HEADERS))
    key = hashlib.sha256(b"|".join([source, _version(compiler).encode(), _processor().encode()]))
    path = folder / f"kernels-{key.hexdigest()[:16]}.so"
    if path.is_file():
        return path
    with lock_for(path):
        if path.is_file():  # another process was faster
            return path
        with atomic_path(path) as temporary:
            _compile(compiler, temporary)
    return path


def _compile(compiler: str, target: Path) -> None:
    common = ["-std=gnu11", "-shared", "-fPIC", "-o", str(target), *map(str, SOURCES), "-lm"]
    for flags in FLAG_SETS:
        try:
            _run([compiler, *flags, *common])
        except subprocess.CalledProcessError:
            if flags == FLAG_SETS[-1]:
                raise
        else:
            return


def _compiler() -> str:
    for name in (os.environ.get("CC", ""), *COMPILERS):
        if name and (found := shutil.which(name)):
            return found
    raise LookupError("there is no C compiler")


def _version(compiler: str) -> str:
    return f"{compiler} {_run([compiler, '--version'])}"


def _run(command: list[str]) -> str:
    """Run the machine's own compiler, on our own source."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT)  # noqa: S603
    return done.stdout


def _processor() -> str:
    """Return a text that differs between processors with different instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kinds = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(kinds)}))


def _settings() -> tuple[str, Path]:
    """Return the setting ``kernel`` and the folder under which kernels are kept."""
    reader = _settings_reader()
    if reader is None:
        return os.environ.get("MOMA_KERNEL", "auto"), Path.home() / ".cache" / "moma"
    settings = reader()
    return settings.kernel, settings.home


@cache
def _settings_reader() -> Callable[[], Settings] | None:
    # Every layer of every batch asks: an import that fails must not be tried each time.
    try:
        from moma_app.config import get_settings
    except ModuleNotFoundError:  # a bare GPU machine has PyTorch, but no pydantic
        return None
    return get_settings
