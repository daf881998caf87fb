"""Runs on Dask: a running cluster that was named, or local workers."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moma_app.config import Settings
from moma_app.errors import InputError, MomaError
from moma_app.jobs.blobs import Blob
from moma_app.jobs.events import Numbered
from moma_app.jobs.order import Order
from moma_app.jobs.placing import demands, free_main_workers, may_overtake, refuse_unmet
from moma_app.jobs.service import Service, answers, ensure_quick_worker, ensure_service, find_service
from moma_app.jobs.spec import Needs

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.security import Security

CONNECT_LIMIT = 15.0
"""Seconds to reach a scheduler."""


class Cluster:
    """A connection to a Dask scheduler, made on first use and made anew when the scheduler has ended.

    Args:
        settings: say where the scheduler is; without one, local workers are started.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: Client | None = None
        self._connecting = threading.RLock()  # a dashboard's pages share one connection
        self._local = False  # whether the workers are those of jobs.service
        self._futures: dict[str, Future] = {}  # Dask forgets the error of an order that nobody holds

    @property
    def client(self) -> Client:
        """Dask's client.

        Raises:
            MomaError: no scheduler answers at the address that the settings name.
        """
        with self._connecting:
            if self._client is not None and self._client.status in ("running", "connecting"):
                return self._client
            self.close()
            self._client = self._connect()
            return self._client

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(self.client.scheduler.address)

    def connected_to(self, address: str) -> bool:
        """Return whether a connection to this scheduler is open."""
        client = self._client
        return client is not None and client.status == "running" and client.scheduler.address == address

    def close(self) -> None:
        """End the connection; runs go on."""
        if self._client is not None:
            self._futures.clear()
            self._client.close(timeout=5)
            self._client = None

    def start(self, order: Order, key: str, lost: Callable[[str], None]) -> None:
        """Send an order to the workers; it is done even if this process ends.

        Args:
            order: what to do.
            key: Dask's name of it.
            lost: told, in a thread, if no worker could do it so far as to record its end.

        Raises:
            InputError: no worker offers what the order needs.
        """
        from distributed import fire_and_forget

        client = self.client
        needs = order.spec.needs
        refuse_unmet(needs, self._offers(), self.address)
        blobs = list(order.spec.files.values())
        contents = self._carry(blobs)
        future = client.submit(
            run_order,
            order.to_dict(),
            [blob.sha256 for blob in blobs] if contents else [],
            *contents,
            key=key,
            resources=demands(needs, local=self._local) or None,
            priority=order.spec.priority,
            **self._preference(needs),
            pure=False,
            retries=0,  # lost workers are Dask's business; an error of ours would only come again
        )
        fire_and_forget(future)
        future.add_done_callback(lambda ended: _tell_if_lost(ended, lost))
        self._futures[key] = future

    def drop(self, key: str) -> None:
        """Take an order back that has not begun, or forget one that has."""
        from distributed import Future

        self._futures.pop(key, None)
        Future(key, self.client).cancel(force=True)

    def states(self, keys: Sequence[str]) -> dict[str, str]:
        """Return Dask's states of orders by key: ``no-worker``, ``queued``, ``processing``, …; known ones only."""

        def look(dask_scheduler: Any) -> dict[str, str]:  # sent whole: the scheduler may run older code
            return {
                key: str(dask_scheduler.tasks[key].state) for key in wanted if key in dask_scheduler.tasks
            }

        wanted = list(keys)
        found: dict[str, str] = self.client.run_on_scheduler(look)
        return found

    def restart_worker(self, address: str) -> None:
        """Kill a worker's process; its nanny starts another one.

        Raises:
            MomaError: it has no nanny, or does not come back.
        """
        try:
            self.client.restart_workers([address], timeout=30)
        except (ValueError, TimeoutError, OSError) as exc:
            raise MomaError(f"The worker {address} could not be restarted: {exc}.") from exc

    def listen(self, run_id: str) -> queue.SimpleQueue[Numbered]:
        """Return a queue of a run's events, from its first one on, in order."""
        arrived: queue.SimpleQueue[Numbered] = queue.SimpleQueue()
        forwarder = _InOrder(arrived)
        topic = topic_of(run_id)
        self.client.subscribe_topic(topic, forwarder)
        for entry in self.client.get_events(topic):
            forwarder(entry)
        return arrived

    def workers(self) -> dict[str, dict[str, Any]]:
        """Return what the scheduler knows of its workers, by address."""
        found: dict[str, dict[str, Any]] = self.client.scheduler_info(n_workers=-1)["workers"]
        return found

    def _connect(self) -> Client:
        """Connect, after looking whether it can work: a client of Dask's that failed spoils the next one."""
        address, security = self._where()
        from distributed import Client
        from distributed.security import Security

        security = security or Security()  # of Dask's own configuration
        if address.startswith("tls://") and security.get_connection_args("client")["ssl_context"] is None:
            raise MomaError(
                f"The scheduler at {address} speaks TLS and this shell has no key to it: name its scheduler file where "
                "cert.pem and key.pem lie beside it, or set DASK_CONFIG to the folder of its dask.yaml."
            )
        refusal = f"No Dask scheduler answers at {address}: start it, correct --scheduler, or leave it out for local workers."
        deadline = time.monotonic() + CONNECT_LIMIT
        while not answers(address):
            if time.monotonic() > deadline:
                raise MomaError(refusal)
            time.sleep(0.2)
        try:
            return Client(
                address, security=security, timeout=CONNECT_LIMIT, set_as_default=False, name="moma"
            )
        except (OSError, TimeoutError, ValueError) as exc:
            raise MomaError(f"{refusal} ({type(exc).__name__}: {exc})") from exc

    def _where(self) -> tuple[str, Any]:
        named = self.settings.scheduler
        if named is None:
            started = ensure_service(self.settings, idle=_is_idle)
            self._local = True
            return started.address, started.security()
        address = scheduler_address(named)
        service = find_service(self.settings)
        self._local = service is not None and service.address == address
        return address, service.security() if service is not None and self._local else keys_beside(named)

    def _offers(self) -> list[dict[str, float]]:
        return [worker.get("resources", {}) for worker in self.workers().values()]

    def _preference(self, needs: Needs) -> dict[str, Any]:
        """Return where a quick run had better go, as arguments of Dask's ``submit``.

        That is a main worker without work, which has all cores. If none is free, the worker for quick
        runs is started; as soon as that is idle, it takes what waits with the others.
        """
        if not (self._local and may_overtake(needs)):
            return {}
        free: list[str] | None = self.client.run_on_scheduler(free_main_workers)
        if free:
            return {"workers": free, "allow_other_workers": True}
        if free is not None:
            ensure_quick_worker(self.settings)
        return {}

    def _carry(self, blobs: list[Blob]) -> list[Any]:
        """Return futures of the files' content if a worker does not see them; equal content is sent once."""
        if not blobs:
            return []
        seen = self.client.run(_sees_all, [(blob.path, blob.size) for blob in blobs])
        if all(seen.values()):
            return []
        return [self.client.scatter(Path(blob.path).read_bytes(), hash=True) for blob in blobs]


class _InOrder:
    """Passes events on in their order, each once: history and news may overlap."""

    def __init__(self, out: queue.SimpleQueue[Numbered]) -> None:
        self._out = out
        self._next = 0
        self._waiting: dict[int, Numbered] = {}

    def __call__(self, entry: Any) -> None:
        _, text = entry
        event = Numbered.from_dict(json.loads(text))
        if event.number < self._next:
            return
        self._waiting[event.number] = event
        while self._next in self._waiting:
            self._out.put(self._waiting.pop(self._next))
            self._next += 1


def _tell_if_lost(future: Future, lost: Callable[[str], None]) -> None:
    if future.status != "error":
        return
    from distributed.scheduler import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        lost("Every worker that took it died; it may need more memory than they have.")
    else:
        lost(str(error) if isinstance(error, MomaError) else f"Unexpected {type(error).__name__}: {error}.")


def scheduler_address(named: str) -> str:
    """Return the address that a setting names: itself, or what a Dask scheduler file says.

    Raises:
        InputError: it is neither an address nor such a file.
    """
    if "://" in named:
        return named
    try:
        return str(json.loads(Path(named).expanduser().read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{named} is neither an address such as tcp://host:8786 nor a Dask scheduler file."
        ) from exc


def topic_of(run_id: str) -> str:
    """Return the Dask topic of a run's events."""
    return f"moma-{run_id}"


def run_order(order: dict[str, Any], hashes: list[str], *contents: bytes) -> str:
    """Do an order on a worker; Dask calls this. Returns the run's last state."""
    from distributed import get_worker

    from moma_app.jobs.execute import execute

    worker = get_worker()
    topic = topic_of(order["run_id"])
    outcome = execute(
        Order.from_dict(order),
        worker=worker.address,
        send=lambda entry: worker.log_event(topic, json.dumps(entry)),  # Dask adds keys to a dictionary
        carried=dict(zip(hashes, contents, strict=True)),
    )
    return outcome.state


def keys_beside(named: str) -> Security | None:
    """Return the TLS keys beside a scheduler file, if they are there."""
    from distributed.security import Security

    folder = Path(named).expanduser().parent
    cert, key = folder / "cert.pem", folder / "key.pem"
    if "://" in named or not (cert.is_file() and key.is_file()):
        return None
    return Security(
        require_encryption=True,
        tls_ca_file=str(cert),
        tls_client_cert=str(cert),
        tls_client_key=str(key),
    )


def _sees_all(files: list[tuple[str, int]]) -> bool:
    return all(Path(path).is_file() and Path(path).stat().st_size == size for path, size in files)


def _is_idle(service: Service) -> bool:
    """Return whether local workers say that they have nothing to do; one that is slow to answer may be busy."""
    from distributed import Client

    try:
        with Client(service.address, security=service.security(), timeout=5, set_as_default=False) as client:
            return not any(client.processing().values())
    except (OSError, TimeoutError):
        return False
