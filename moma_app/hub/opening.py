"""Opens safetensors files; says in one sentence what is wrong with one. Needs no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from moma_app.errors import DamagedFileError


def open_tensors(path: Path, framework: Literal["pt", "np"]) -> Any:  # safe_open has no types
    """Open a file; its header is read and checked, no tensor is.

    Args:
        path: the file.
        framework: whose tensors it is to give.

    Raises:
        DamagedFileError: the file is missing, cut short or no safetensors file.
    """
    try:
        return safe_open(path, framework=framework)
    except FileNotFoundError as exc:
        raise DamagedFileError(f"The tensor file {path} is missing.") from exc
    except (SafetensorError, OSError) as exc:
        raise DamagedFileError(f"{path} is no safetensors file, or is cut short ({exc}).") from exc
