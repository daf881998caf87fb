"""Build the C kernels on first use, and keep the result."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from moma_app.errors import InputError
from moma_app.files import atomic_path, lock_for

FOLDER = Path(__file__).parent
SOURCES = tuple(sorted(FOLDER.glob("*.c")))
HEADERS = tuple(sorted(FOLDER.glob("*.h")))
COMPILERS = ("cc", "gcc", "clang")
FLAG_SETS = (("-O3", "-march=native"), ("-O3", "-mcpu=native"), ("-O3",))
"""Tried in this order: some compilers know only one way to name the processor at hand."""
VARIABLES = ("MOMA_KERNEL", "MOMA_HOME", "HOME", "XDG_CACHE_HOME", "PATH", "CC")
"""What in the environment decides which kernels are used."""
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
        InputError: the settings demand them (``MOMA_KERNEL=native``) and they cannot be had.
    """
    # Asked for by every layer of every batch: reading all settings would take longer than a small message.
    return _kernels(tuple(os.environ.get(name) for name in VARIABLES))


@cache
def _kernels(_environment: tuple[str | None, ...]) -> Kernels:
    wish, folder = _settings()
    if wish == "torch":
        return Kernels(None, "PyTorch computes everything, as MOMA_KERNEL=torch asks.")
    try:
        path = build(folder)
        return Kernels(ctypes.CDLL(str(path)), f"Messages and nearest rows are computed by {path}.")
    except (OSError, subprocess.SubprocessError, LookupError) as exc:
        reason = " ".join(str(exc).split())
        about = (
            f"The fast CPU kernels cannot be built ({reason}): PyTorch computes everything, at about "
            "half the speed. Install a C compiler (Debian, Ubuntu: apt install gcc; conda: c-compiler)."
        )
    if wish == "native":
        raise InputError(f"MOMA_KERNEL=native is set, but: {about}")
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
    try:
        from moma_app.config import get_settings
    except ModuleNotFoundError:  # a bare GPU machine has PyTorch, but no pydantic
        return os.environ.get("MOMA_KERNEL", "auto"), Path.home() / ".cache" / "moma" / "native"
    settings = get_settings()
    return settings.kernel, settings.home / "native"
