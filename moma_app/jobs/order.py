"""An order: a run's specification with what a worker must know of its submitter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moma_app.config import Settings, get_settings, override
from moma_app.jobs.blobs import lay_out
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.states import State

ORDER = "order.json"
PORTABLE = ("device", "precision", "kernel", "log_level")
"""Settings that hold on any machine; the others name folders and sizes of the submitter's."""


@dataclass(frozen=True)
class Order:
    """What is sent to a worker.

    Attributes:
        run_id: the run.
        spec: what is to be done.
        settings: the submitter's, JSON-ready.
        tracking: address of the tracking store.
        home: the submitter's ``MOMA_HOME``.
        resume: whether an earlier attempt's checkpoints are to be used.
    """

    run_id: str
    spec: RunSpec
    settings: dict[str, Any]
    tracking: str
    home: str
    resume: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {**vars(self), "spec": self.spec.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Order:
        """Rebuild an order from :meth:`to_dict`."""
        return cls(**{**data, "spec": RunSpec.from_dict(data["spec"])})

    @property
    def folder(self) -> Path:
        """The run's folder on the submitter's disk."""
        return Path(self.home) / "runs" / self.run_id

    def sees_submitter(self) -> bool:
        """Return whether this machine sees the submitter's disk: the order lies where it was left."""
        return (self.folder / ORDER).is_file()

    def folder_here(self, settings: Settings) -> Path:
        """Return the run's folder on this machine."""
        return self.folder if self.sees_submitter() else settings.runs_folder.absolute() / self.run_id

    def settings_here(self) -> dict[str, Any]:
        """Return the submitter's settings as far as they hold on this machine."""
        if self.sees_submitter():
            return dict(self.settings)
        return {name: self.settings[name] for name in PORTABLE if name in self.settings}


@contextmanager
def surroundings(order: Order, carried: Mapping[str, bytes]) -> Iterator[Path | None]:
    """Apply an order's settings on this machine and see that its files are here.

    Yields:
        The data folder of files that were carried here; ``None`` if all lie where the submitter has them.

    Raises:
        DataNotFoundError: a file is missing, or is another one.
    """
    with override(order.settings_here()):
        settings = get_settings()
        folder = lay_out(
            order.spec.files, carried, settings.home / "blobs", order.folder_here(settings) / "carried"
        )
        if folder is None:
            yield None
            return
        data = [str(folder), *map(str, settings.data)]
        hub = {"hub": str(folder / "hub")} if (folder / "hub").is_dir() else {}
        with override({"data": data, **hub}):
            yield folder


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run_id: the run.
        state: its last one.
        message: why it failed, in one sentence.
        result: what the unit returned, JSON-ready.
    """

    run_id: str
    state: State
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
