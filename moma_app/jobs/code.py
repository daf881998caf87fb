"""Which version of the code makes a result."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import moma_app


@cache
def commit() -> str:
    """Return the Git commit of a development checkout, with ``+changes`` if files differ; empty otherwise."""
    root = Path(moma_app.__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    head = _git(root, "rev-parse", "HEAD")
    return head + ("+changes" if head and _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(root), *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # a machine without git: the package's version has to do
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
