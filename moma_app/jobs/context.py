"""What a unit of work is given: whom to tell, whether to stop, where to write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.errors import CancelledError
from moma_app.files import atomic_write_text
from moma_app.progress import Event, Listener, silent

if TYPE_CHECKING:
    from moma_app.jobs.order import Order

CANCELLED = "It was stopped on request; `moma runs resume` goes on from the last checkpoint."


def _never() -> bool:
    return False


def _forget(facts: Mapping[str, Any]) -> None:
    """Keep nothing: the default where there is no record."""


class Context:
    """A unit's surroundings. Without arguments besides the folder, a unit runs without any record.

    Args:
        folder: the run's own, on this machine.
        listener: gets the unit's progress events.
        stop: whether somebody asked for an end.
        facts: keeps what the unit says of itself.
        resuming: whether an earlier attempt may have left checkpoints.
        carried: data folder of the files that came with the order, where the submitter's disk is not seen.
        shared: whether it is seen, so that results can be put there.
        order: what was ordered, for pieces of it that other workers do.
    """

    def __init__(
        self,
        folder: Path,
        *,
        listener: Listener = silent,
        stop: Callable[[], bool] = _never,
        facts: Callable[[Mapping[str, Any]], None] = _forget,
        resuming: bool = False,
        carried: Path | None = None,
        shared: bool = True,
        order: Order | None = None,
    ) -> None:
        self.folder = folder
        self.resuming = resuming
        self.carried = carried
        self.shared = shared
        self.order = order
        self.stop = stop
        self._listener = listener
        self._facts = facts

    def may_replace(self, target: Path, *, overwrite: bool) -> bool:
        """Return whether a result may replace what lies at ``target``, and note that it is about to.

        An attempt that ended between publishing and recording has left its own result there, which
        the next attempt may replace whatever ``overwrite`` says.
        """
        note = self.folder / "publishing.json"
        if note.is_file() and str(target) in json.loads(note.read_text(encoding="utf-8")):
            return True
        if overwrite or not target.exists():
            atomic_write_text(note, json.dumps([str(target)]))
        return overwrite

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints: kept until the run has finished."""
        return self.folder / "checkpoints"

    @property
    def artefacts(self) -> Path:
        """Folder whose files are kept with the run when the unit returns."""
        return self.folder / "artefacts"

    def progress(self, event: Event) -> None:
        """Tell an event. As work tells of every batch, this is also where it can be stopped.

        Raises:
            CancelledError: somebody asked for an end.
        """
        self._listener(event)
        if self.stop():
            raise CancelledError(CANCELLED)

    def facts(self, **facts: Any) -> None:
        """Keep what decides the result and is not an argument: hashes of data and hub, hardware."""
        self._facts(facts)

    def spread(
        self, piece: Callable[[Any, Listener], Any], arguments: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Do pieces of the work on all workers of the cluster, or one after another here if there are none.

        Args:
            piece: a function of an argument and a listener, that can be imported by name.
            arguments: one for each piece.

        Yields:
            Number and result of each piece, as soon as it is there.

        Raises:
            CancelledError: somebody asked for an end.
        """
        from moma_app.jobs.pieces import spread

        yield from spread(self.order, piece, arguments, self.progress, self.stop)
