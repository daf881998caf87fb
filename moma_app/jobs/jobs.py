"""The one way to start long work, watch it, stop it and come back to it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from moma_app.choices import Engine
from moma_app.config import Settings, get_settings
from moma_app.errors import InputError
from moma_app.files import atomic_write_text
from moma_app.jobs.cluster import Cluster
from moma_app.jobs.events import EVENTS, Numbered, Writer
from moma_app.jobs.execute import execute
from moma_app.jobs.identity import Process
from moma_app.jobs.liveness import NOT_BEGUN, settle
from moma_app.jobs.order import ORDER, Order, Outcome
from moma_app.jobs.record import Record
from moma_app.jobs.recorder import CANCEL
from moma_app.jobs.registry import get_unit
from moma_app.jobs.service import answers
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.states import RESUMABLE, STATES, State
from moma_app.jobs.stopping import stop_by_force
from moma_app.jobs.store import RunStore
from moma_app.jobs.table import RunList
from moma_app.jobs.watching import watch
from moma_app.progress import Listener, RunChanged, silent

GRACE = 30.0
"""Seconds that a run has to stop by itself before its process is killed."""


class Jobs:
    """Long work: on local workers, on a Dask cluster, or inline; recorded in the tracking store.

    Args:
        settings: by default those of the environment; ``engine`` and ``scheduler`` say where work runs.
        engine: stronger than the settings.

    A context manager; closing it ends the connection, not the runs.
    """

    def __init__(self, settings: Settings | None = None, *, engine: Engine | None = None) -> None:
        self.settings = settings or get_settings()
        self.engine: Engine = engine or self.settings.engine
        self.store = RunStore(self.settings.tracking_uri, self.settings.home / "artefacts")
        self.cluster = Cluster(self.settings)
        self._others: dict[str, Cluster] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection to the workers; what they do goes on."""
        for cluster in (self.cluster, *self._others.values()):
            cluster.close()

    def prepare(self) -> None:
        """Load what the first run needs, and start the workers if they are local: a face does so early.

        Raises:
            MomaError: the store or the workers cannot be reached.
        """
        self.store.prepare()
        if self.engine != "inline":
            _ = self.cluster.client

    # -- starting --------------------------------------------------------------------------------

    def submit(self, spec: RunSpec, listener: Listener = silent) -> str:
        """Record a run and start it; returns its id at once (inline: when the run is over).

        Args:
            spec: what to do.
            listener: is told the id; gets all events of an inline run, for others see :meth:`watch`.

        Raises:
            UnknownNameError: there is no such unit.
            InputError: no worker offers what it needs.
        """
        get_unit(spec.unit)
        run_id = self.store.create(spec)
        listener(RunChanged(state="queued", run=run_id))
        self._start(run_id, spec, listener, resume=False)
        return run_id

    def run(self, spec: RunSpec, listener: Listener = silent, *, run_id: str | None = None) -> Outcome:
        """Do a run and wait for its end. Ctrl-C stops the run and is raised again.

        Args:
            spec: what to do.
            listener: gets the events.
            run_id: resume this run instead of starting a new one.
        """
        if self.engine_for(spec) == "inline":
            done = self.submit(spec, listener) if run_id is None else self.resume(run_id, listener)
            return self.outcome(done)
        run_id = self.submit(spec, listener) if run_id is None else self.resume(run_id)
        return self.wait(run_id, listener)

    def wait(self, run_id: str, listener: Listener = silent) -> Outcome:
        """Watch a run to its end. Ctrl-C stops the run and is raised again."""
        try:
            for entry in self.watch(run_id):
                listener(entry.event)
        except KeyboardInterrupt:
            self.cancel(run_id)
            raise
        return self.outcome(run_id)

    def resume(self, run_id: str, listener: Listener = silent) -> str:
        """Go on with a run that failed, was cancelled or interrupted, from its last checkpoint.

        Raises:
            InputError: it is in another state.
        """
        record = self.record(run_id)
        if record.state not in RESUMABLE:
            raise InputError(
                f"Run {run_id[:8]} is {record.state}: only a failed, cancelled or interrupted one can be resumed."
                + (" Use `moma runs rerun` to do it again." if record.state == "finished" else "")
            )
        (self.folder(run_id) / CANCEL).unlink(missing_ok=True)
        asker = vars(Process.this())
        empty = dict.fromkeys(("message", "cancel", "heartbeat", "scheduler"), "")
        self.store.change(run_id, "queued", process=asker, queued=time.time(), **empty)
        self._start(run_id, self.store.spec(run_id), listener, resume=True)
        return run_id

    def rerun(self, run_id: str) -> RunSpec:
        """Return the specification that does a run again, without its publications."""
        return self.store.spec(run_id).again()

    def engine_for(self, spec: RunSpec) -> Engine:
        """Return where a run will work. Each local worker has one GPU, so a fit on several starts from here."""
        several = spec.needs.gpus > 1 and self.settings.scheduler is None
        return "inline" if several else self.engine

    def _start(self, run_id: str, spec: RunSpec, listener: Listener, *, resume: bool) -> None:
        settings = self.settings
        home = settings.home.absolute()
        order = Order(
            run_id, spec, settings.model_dump(mode="json"), self.store.uri, str(home), resume=resume
        )
        # The settings may hold a tracking server's password.
        order.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_text(order.folder / ORDER, json.dumps(order.to_dict(), indent=1) + "\n")
        if resume:
            Writer(order.folder / EVENTS)(RunChanged(state="queued"))
        if self.engine_for(spec) == "inline":
            execute(order, listener=listener)
            return
        key = f"moma-{run_id}-{time.time_ns()}"
        try:
            self.store.tag(run_id, scheduler=self.cluster.address, key=key, handed_over=time.time())
            self.cluster.start(order, key, lost=lambda message: self._lost(run_id, message))
        except KeyboardInterrupt:
            self.store.change(
                run_id, "cancelled", message="It was stopped before it began.", ended=time.time()
            )
            raise
        except Exception as exc:
            self.store.change(run_id, "failed", message=str(exc), ended=time.time())
            raise

    def _lost(self, run_id: str, message: str) -> None:
        if self.store.get(run_id).open:
            self.store.change(run_id, "failed", message=message, ended=time.time())

    # -- watching --------------------------------------------------------------------------------

    def watch(self, run_id: str, stop: Callable[[], bool] | None = None) -> Iterator[Numbered]:
        """Yield a run's events from the first one on, in order, until it ends. Any number may watch.

        Args:
            run_id: of the run.
            stop: asked now and then; ends the watching, not the run.
        """
        return watch(self, run_id, stop)

    def record(self, start: str) -> Record:
        """Return a run by the first digits of its id, in its true state.

        Raises:
            UnknownNameError, InputError: none or several runs start so.
        """
        return settle(self, self.store.find(start))

    def runs(
        self,
        *,
        states: Iterable[State] = STATES,
        unit: str | None = None,
        task: str | None = None,
        name: str = "",
        limit: int | None = None,
    ) -> RunList:
        """Return runs, newest first, each in its true state; a notebook shows them as a table.

        Args:
            states, unit, task: only these.
            name: only runs with this in their name, whatever the case.
            limit: at most so many.
        """
        from moma_app.jobs.listing import list_runs

        return RunList(list_runs(self, states=states, unit=unit, task=task, name=name, limit=limit))

    def cluster_of(self, record: Record) -> Cluster | None:
        """Return the cluster that a run was sent to; ``None`` if it was inline, or its scheduler is gone."""
        address = record.scheduler
        if not address or not answers(address):
            return None
        if self.cluster.connected_to(address):
            return self.cluster
        if address not in self._others:
            self._others[address] = Cluster(self.settings.model_copy(update={"scheduler": address}))
        return self._others[address]

    def folder(self, run_id: str) -> Path:
        """Return a run's folder on this machine: order, events, log, checkpoints."""
        return self.settings.runs_folder.absolute() / run_id

    def result(self, run_id: str) -> dict[str, Any]:
        """Return what a finished run's unit returned."""
        return self.store.result(run_id)

    def outcome(self, run_id: str) -> Outcome:
        """Return how a run stands: its state and, if it has finished, its result."""
        record = self.store.get(run_id)
        result = self.result(run_id) if record.state == "finished" else {}
        return Outcome(run_id, record.state, record.message, result)

    # -- ending ----------------------------------------------------------------------------------

    def cancel(self, run_id: str, grace: float = GRACE) -> Record:
        """Stop a run: it ends within a batch; if it does not in ``grace`` seconds, its process is killed.

        Raises:
            InputError: it has ended already.
            MomaError: its process can be reached neither through Dask nor on this machine.
        """
        record = self.record(run_id)
        if not record.open:
            raise InputError(f"Run {record.id[:8]} is {record.state} already.")
        self.store.tag(record.id, cancel=time.time())
        if (folder := self.folder(record.id)).is_dir():
            (folder / CANCEL).touch()
        if record.state == "queued" and not (record := self._withdraw(record)).open:
            return record
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            time.sleep(0.1)
            record = self.record(record.id)
            if not record.open:
                return record
        stop_by_force(self, record)
        return self.store.get(record.id)

    def _withdraw(self, record: Record) -> Record:
        """Take a run back that waits for a worker; should it begin at this moment, it ends at once."""
        if (cluster := self.cluster_of(record)) is not None:
            cluster.drop(record.key)
        if self.store.get(record.id).state == "queued":
            self.store.change(record.id, "cancelled", message=NOT_BEGUN, ended=time.time())
        return self.store.get(record.id)

    def delete(self, run_id: str) -> Record:
        """Forget a run with its artefacts, log and checkpoints.

        Raises:
            InputError: it has not ended.
        """
        record = self.record(run_id)
        if record.open:
            raise InputError(f"Run {record.id[:8]} is {record.state}: cancel it first.")
        self.store.delete(record.id)
        shutil.rmtree(self.folder(record.id), ignore_errors=True)
        return record
