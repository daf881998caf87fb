"""What a worker is told to do, as it travels to the worker's process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from moma_app.bench.sizes import Sizes


@dataclass(frozen=True)
class Job:
    """One side of one case.

    Attributes:
        builder: file of :mod:`moma_app.bench.work`.
        side: function in it, ``ours`` or ``theirs``.
        sizes: how much.
        threads: CPU threads.
        device: ``cpu`` or ``cuda``.
        inputs: file of structures (:mod:`moma_app.bench.inputs`), if any are needed.
        scratch: folder for files, emptied by the leader.
        flush_reference: flush denormal numbers to zero on their side too.
    """

    builder: str
    side: str
    sizes: Sizes
    threads: int
    device: str
    inputs: str | None
    scratch: str
    flush_reference: bool = False

    def to_json(self) -> str:
        """Return the JSON form."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Rebuild from the JSON form."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "sizes": Sizes(**values["sizes"])})
