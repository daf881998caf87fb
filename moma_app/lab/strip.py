"""Notebooks as they are stored: without outputs. ``python -m moma_app.lab.strip [--check] FILE…``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moma_app.errors import InputError
from moma_app.files import atomic_write_text

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
"""Every installation of Jupyter has a kernel of this name: the environment it was started from."""


def stripped(text: str, where: str = "the notebook") -> str:
    """Return a notebook without outputs, counters, and whatever an editor has noted of its own.

    Args:
        text: the notebook's JSON.
        where: what it is, for messages.

    Raises:
        InputError: it is no notebook.
    """
    try:
        notebook: dict[str, Any] = json.loads(text)
        cells = notebook["cells"]
        for cell in cells:
            cell["metadata"] = {"tags": tags} if (tags := cell["metadata"].get("tags")) else {}
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise InputError(f"{where} is no Jupyter notebook ({type(exc).__name__}: {exc}).") from exc
    kept = {"cells": cells, "metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}}}
    whole = {
        **kept,
        "nbformat": notebook.get("nbformat", 4),
        "nbformat_minor": notebook.get("nbformat_minor", 5),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def strip_files(paths: Sequence[Path], *, check: bool = False) -> list[Path]:
    """Strip notebooks in place, and return those that were not.

    Args:
        paths: of the notebooks.
        check: change nothing.

    Raises:
        InputError: a file is not there, or no notebook.
    """
    found = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise InputError(f"{path} cannot be read ({exc}).") from exc
        clean = stripped(text, str(path))
        if clean != text:
            found.append(path)
            if not check:
                atomic_write_text(path, clean)
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Strip the named notebooks; with ``--check`` only name those that are not. Returns the exit status."""
    words = list(sys.argv[1:] if given is None else given)
    check = "--check" in words
    try:
        found = strip_files([Path(word) for word in words if word != "--check"], check=check)
    except InputError as exc:
        sys.stderr.write(f"Error: {exc}\n")
        return 1
    for path in found:
        sys.stdout.write(f"{'has outputs' if check else 'stripped'}: {path}\n")
    return int(check and bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
