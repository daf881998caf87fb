"""Tiny tasks in the shape of a large composition, for the simulation; a worker imports nothing else.

What travels is as in the real plan: a module's and a chunk's name in, a path by hash out.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """What a task returns.

    Attributes:
        units: chunks of modules that are behind it.
        first: when the first of them was done, seconds of the system's clock.
        path: where the result would lie.
    """

    units: int
    first: float
    path: str


def encode(module: str, chunk: str) -> Part:
    """Stand for the embeddings of one chunk by one module."""
    return Part(1, time.time(), _path(module, chunk))


def encode_bundle(module: str, chunks: Sequence[str]) -> Part:
    """Stand for several chunks in one task."""
    return join([encode(module, chunk) for chunk in chunks])


def join(parts: Sequence[Part]) -> Part:
    """Stand for what needs all of them: a module's estimate, the weights."""
    return Part(
        sum(part.units for part in parts),
        min(part.first for part in parts),
        _path(*(part.path for part in parts)),
    )


def _path(*names: str) -> str:
    digest = hashlib.blake2b("\n".join(names).encode(), digest_size=16).hexdigest()
    return f"embeddings/{digest}.safetensors"
