"""What is to be done: a unit of work with its arguments, as plain values that travel and are kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from moma_app.errors import InputError
from moma_app.jobs.blobs import Blob


@dataclass(frozen=True)
class Needs:
    """What a unit asks of the worker that gets it.

    Attributes:
        gpus: whole GPUs; workers offer theirs as the Dask resource ``GPU``.
        memory_gb: memory; workers offer theirs as the Dask resource ``MEMORY``.
        processes: processes that share one fit on the worker's machine, started with torchrun.
        quick: somebody waits for it, and it takes seconds to a few minutes: on local workers it need not
            wait behind long runs, see :mod:`moma_app.jobs.placing`.
    """

    gpus: int = 0
    memory_gb: float = 0.0
    processes: int = 1
    quick: bool = False

    def __post_init__(self) -> None:
        if self.gpus < 0 or self.memory_gb < 0 or self.processes < 1:
            raise InputError(f"A run cannot need {self}: counts are positive.")

    def to_dask(self) -> dict[str, float]:
        """Return the resources in Dask's form; empty where any worker will do."""
        named = {"GPU": float(self.gpus), "MEMORY": float(self.memory_gb)}
        return {name: amount for name, amount in named.items() if amount}


@dataclass(frozen=True)
class RunSpec:
    """A unit of work with its arguments. Equal specifications give equal numbers on the same machine.

    Attributes:
        unit: name in the registry of units (entry points of the group ``moma_app.units``).
        arguments: of the unit, JSON-ready; they decide the numbers.
        publish: where results go besides the run's own artefacts, JSON-ready; a rerun leaves it out.
        name: for people.
        task: the task it is about, for lists; empty if none.
        needs: what it asks of a worker.
        priority: runs with a higher one start first.
        files: that the unit reads, by their place in a data folder; the run is defined by their content.
    """

    unit: str
    arguments: dict[str, Any] = field(default_factory=dict)
    publish: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    task: str = ""
    needs: Needs = field(default_factory=Needs)
    priority: int = 0
    files: dict[str, Blob] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunSpec:
        """Rebuild a specification from :meth:`to_dict`.

        Raises:
            InputError: a field is unknown or missing.
        """
        values = dict(data)
        try:
            needs = Needs(**values.pop("needs", {}))
            files = {name: Blob(**blob) for name, blob in values.pop("files", {}).items()}
            return cls(**values, needs=needs, files=files)
        except (TypeError, AttributeError) as exc:
            raise InputError(f"This is no specification of a run: {exc}.") from exc

    def __post_init__(self) -> None:
        for place in self.files:
            parts = PurePosixPath(place).parts
            if not parts or place.startswith("/") or ".." in parts:
                raise InputError(f"A run's file has its place in a data folder, not at {place!r}.")

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that two specifications share if they give the same numbers."""
        contents = {place: blob.sha256 for place, blob in self.files.items()}
        text = json.dumps([self.unit, self.arguments, contents], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def again(self) -> RunSpec:
        """Return the same work without its publications, for a rerun."""
        return dataclasses.replace(self, publish={})
