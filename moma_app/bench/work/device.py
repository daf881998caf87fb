"""A GPU works on after a call returns; a time counts only when it has finished."""

from __future__ import annotations

import torch


def finish(device: str) -> None:
    """Wait until the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
