"""Does one run, in this process: the same on a worker, inline, or in a process of a distributed fit."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from moma_app.config import get_settings, override
from moma_app.errors import (
    CancelledError,
    DataNotFoundError,
    MissingDependencyError,
    MomaError,
    UnknownNameError,
)
from moma_app.files import atomic_write_text
from moma_app.jobs.context import CANCELLED, Context
from moma_app.jobs.events import EVENTS, Writer
from moma_app.jobs.identity import Process
from moma_app.jobs.logs import LOG, log_event, run_log
from moma_app.jobs.order import Order, Outcome, surroundings
from moma_app.jobs.processes import run_in_processes
from moma_app.jobs.record import HEARTBEAT, Record
from moma_app.jobs.recorder import Recorder
from moma_app.jobs.registry import get_unit
from moma_app.jobs.store import RESULT, RunStore, StoreError
from moma_app.progress import Event, Listener, RunChanged, silent

SETTLING = 2.0
"""Seconds that a batch of an overtaken run may still take."""
logger = logging.getLogger("moma_app.run")


def execute(
    order: Order,
    *,
    listener: Listener = silent,
    worker: str = "",
    send: Callable[[dict[str, Any]], None] | None = None,
    carried: Mapping[str, bytes] | None = None,
) -> Outcome:
    """Do a run from its first state to its last, and record both.

    A failure of the unit is an outcome; what is raised here is of the machinery.

    Args:
        order: what to do.
        listener: gets the events too, in this process.
        worker: address of the Dask worker that calls.
        send: carries events away from a disk that the submitter does not see.
        carried: content of files that came with the order, by SHA-256.

    Raises:
        StoreError: the tracking store cannot be reached from this machine.
        KeyboardInterrupt, SystemExit: the process is to end; the run is recorded as cancelled.
    """
    with override(order.settings_here()):
        return _Execution(order, listener, worker, send, carried or {}).run()


class _Execution:
    def __init__(
        self,
        order: Order,
        listener: Listener,
        worker: str,
        send: Callable[[dict[str, Any]], None] | None,
        carried: Mapping[str, bytes],
    ) -> None:
        self.order = order
        self.listener = listener
        self.worker = worker
        self.carried = carried
        self.settings = get_settings()
        self.shared = order.sees_submitter()
        self.folder = order.folder_here(self.settings)
        self.store = RunStore(order.tracking)
        self.send = None if self.shared else send

    def run(self) -> Outcome:
        before = self._before()
        if before.state in ("finished", "cancelled"):
            return Outcome(self.order.run_id, before.state, before.message)  # stopped while it waited
        attempt = before.attempts + 1
        self._begin(before, attempt)
        resuming = attempt > 1 and self._has_checkpoints()
        events = Writer(self.folder / EVENTS, self.send)
        with ExitStack() as stack:
            stack.enter_context(run_log(self.folder / LOG, self.settings.log_level))
            recorder = stack.enter_context(
                Recorder(
                    self.store, self.order.run_id, self.folder, events, shared=self.shared, attempt=attempt
                )
            )

            def tell(event: Event) -> None:
                if recorder.overtaken:
                    return
                events(event)
                log_event(event)
                recorder.note(event)
                self.listener(event)

            tell(RunChanged(state="running", message="resumed" if resuming else "", fraction=0.0))
            outcome, ending = self._work(tell, recorder, resuming=resuming)
        if recorder.overtaken:
            return Outcome(self.order.run_id, "interrupted", "Another worker has taken the run over.")
        self._finish(outcome)
        last = RunChanged(state=outcome.state, message=outcome.message, fraction=1.0)
        events(last)
        self.listener(last)
        if ending is not None:
            raise ending
        return outcome

    def _before(self) -> Record:
        try:
            return self.store.get(self.order.run_id)
        except MomaError as exc:
            where = (
                ""
                if self.shared
                else (
                    f" The worker on {Process.this().host.partition('/')[0]} does not see the submitter's disk, so runs "
                    "must be kept by a server that both reach: set MLFLOW_TRACKING_URI=http://…."
                )
            )
            raise StoreError(f"{exc}{where}") from exc

    def _has_checkpoints(self) -> bool:
        return any((self.folder / "checkpoints").rglob("*.ckpt"))

    def _begin(self, before: Record, attempt: int) -> None:
        """Take the run over; a worker that only seems lost, and still does it, is given the time to notice."""
        this = Process.this()
        self.store.change(
            self.order.run_id,
            "running",
            host=this.host.partition("/")[0],
            process=vars(this),
            heartbeat=time.time(),
            started=time.time(),
            ended="",
            message="",
            attempts=attempt,
            worker=self.worker,
            channel="file" if self.shared or self.send is None else "dask",
        )

        still_done = before.process not in (None, this) and not before.silent_for(time.time())
        if before.state == "running" and still_done:
            time.sleep(HEARTBEAT + SETTLING)

    def _work(
        self, tell: Listener, recorder: Recorder, *, resuming: bool
    ) -> tuple[Outcome, BaseException | None]:
        run_id, spec = self.order.run_id, self.order.spec
        logger.info("Run %s: %s %s", run_id, spec.unit, json.dumps(spec.arguments))
        try:
            with surroundings(self.order, self.carried) as carried:
                context = Context(
                    self.folder,
                    listener=tell,
                    stop=recorder.stop_requested,
                    facts=recorder.facts,
                    resuming=resuming,
                    carried=carried,
                    shared=self.shared,
                    order=self.order,
                )
                if spec.needs.processes > 1:
                    result = run_in_processes(spec, context)
                else:
                    result = get_unit(spec.unit)(context, **spec.arguments, **spec.publish)
        except CancelledError:
            return Outcome(run_id, "cancelled", CANCELLED), None
        except MomaError as exc:
            logger.exception("The run failed.")
            lacks = isinstance(exc, DataNotFoundError | MissingDependencyError | UnknownNameError)
            where = f" (This is what the worker on {platform.node()} has.)" if lacks and self.worker else ""
            return Outcome(run_id, "failed", f"{exc}{where}"), None
        except Exception as exc:
            logger.exception("The run failed unexpectedly.")
            return Outcome(run_id, "failed", f"Unexpected {type(exc).__name__}: {_first_line(exc)}."), None
        except BaseException as exc:
            logger.exception("The process was told to end.")
            return Outcome(run_id, "cancelled", CANCELLED), exc
        return Outcome(run_id, "finished", "", result), None

    def _finish(self, outcome: Outcome) -> None:
        run_id = self.order.run_id
        if outcome.state == "finished":
            metrics = outcome.result.get("metrics", {})
            self.store.metrics(run_id, {k: v for k, v in metrics.items() if isinstance(v, int | float)})
            artefacts = self.folder / "artefacts"
            atomic_write_text(artefacts / RESULT, json.dumps(outcome.result, indent=1) + "\n")
            self.store.keep(run_id, artefacts)
            shutil.rmtree(artefacts)
            for name in ("checkpoints", "processes"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in (LOG, EVENTS):
            if (path := self.folder / name).is_file():
                self.store.keep(run_id, path)
        last = RunChanged(state=outcome.state, message=outcome.message, fraction=1.0)
        self.store.change(
            run_id,
            outcome.state,
            message=outcome.message,
            ended=time.time(),
            progress=json.dumps(last.to_dict()),
        )


def _first_line(exc: Exception) -> str:
    text = str(exc).strip()
    return text.splitlines()[0].rstrip(".") if text else "no message"
