"""Tells the tracking store of a run while it works, from a thread, so that no batch waits for a database."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from moma_app.jobs.events import Writer
from moma_app.jobs.record import HEARTBEAT
from moma_app.jobs.store import RunStore, StoreError
from moma_app.progress import EpochEnded, Event, ModuleEncoded

CANCEL = "cancel"
"""Name of the file in a run's folder that asks the run to stop."""
TICK = 0.2
ASK_EVERY = 2.0
"""Seconds between two looks into the store for a request to stop, where the folder cannot be seen."""
FLUSH = 30.0
"""Seconds that the end of a run waits for the store at most, for metrics that are still to be written."""

logger = logging.getLogger(__name__)


class Recorder:
    """Signs of life, metrics and requests to stop of one run; a context manager.

    A store that fails for a while is asked again; the run goes on, and its log says so.

    Args:
        store: where runs are kept.
        run_id: the run.
        folder: its folder on this machine.
        events: its writer, for the last event.
        shared: whether the submitter sees the folder and leaves its request there.
        attempt: number of this attempt; a later one takes the run over.
    """

    def __init__(
        self, store: RunStore, run_id: str, folder: Path, events: Writer, *, shared: bool, attempt: int
    ) -> None:
        self.store = store
        self.run_id = run_id
        self.events = events
        self._request = folder / CANCEL
        self._shared = shared
        self._attempt = attempt
        self._overtaken = threading.Event()
        self._cancelled = threading.Event()
        self._end = threading.Event()
        self._todo: queue.SimpleQueue[tuple[Mapping[str, float], int]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"run {run_id[:8]}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(FLUSH)

    def stop_requested(self) -> bool:
        """Return whether somebody asked the run to stop, or another worker does it now."""
        return self._cancelled.is_set() or self._overtaken.is_set()

    @property
    def overtaken(self) -> bool:
        """Whether another worker has begun the run again: this one was taken for lost, and records nothing."""
        return self._overtaken.is_set()

    def note(self, event: Event) -> None:
        """Keep an event's numbers as metrics."""
        match event:
            case EpochEnded(epoch=epoch):
                numbers = {
                    "train_error": event.train_error,
                    "val_error": event.val_error,
                    "learning_rate": event.learning_rate,
                    "structures_per_second": event.structures_per_second,
                }
                self._todo.put((numbers, epoch))
            case ModuleEncoded(index=index, proxy_mae=error):
                self._todo.put(({"proxy_mae": error}, index))

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Keep what the unit says of itself; these few are written at once."""
        self.store.facts(self.run_id, facts)

    def _work(self) -> None:
        next_beat = next_question = 0.0
        while not self._end.wait(TICK):
            now = time.monotonic()
            if self._request.exists():
                self._cancelled.set()
            if not self._todo.empty():
                self._try(self._write_metrics)
            if now >= next_beat:
                self._try(self._beat)
                next_beat = now + HEARTBEAT
            if not self._shared and now >= next_question:
                self._try(self._ask)
                next_question = now + ASK_EVERY
        self._try(self._write_metrics)

    def _write_metrics(self) -> None:
        while not self._todo.empty():
            numbers, step = self._todo.get()
            try:
                self.store.metrics(self.run_id, numbers, step)
            except StoreError:
                self._todo.put((numbers, step))
                raise

    def _beat(self) -> None:
        if self.store.get(self.run_id).attempts > self._attempt:
            self._overtaken.set()
            return
        last = self.events.last
        progress = {} if last is None else {"progress": json.dumps(last.to_dict())}
        # The state too: somebody may have taken this process for dead while the machine slept.
        self.store.tag(self.run_id, state="running", heartbeat=time.time(), **progress)

    def _ask(self) -> None:
        if self.store.get(self.run_id).cancelling is not None:
            self._cancelled.set()

    def _try(self, action: Any) -> None:
        try:
            action()
        except Exception:
            logger.warning("The tracking store did not answer; trying again.", exc_info=True)
