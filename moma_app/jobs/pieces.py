"""Pieces of one run on all workers of its cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from moma_app.errors import CancelledError
from moma_app.jobs.context import CANCELLED
from moma_app.jobs.order import Order, surroundings
from moma_app.jobs.placing import demands_of_piece, is_quick_worker
from moma_app.jobs.recorder import CANCEL
from moma_app.progress import Event, Listener

Piece = Callable[[Any, Listener], Any]
"""Does one piece of the work, and tells of its steps, where it may be stopped."""
PAUSE = 0.05
BATCH = 1000
"""Pieces that are handed to the scheduler at once; fewer take it longer, more keep the first one waiting."""


def workers_of_this_run() -> int:
    """Return how many workers may do pieces of the present run; 1 if it runs inline, or on the quick worker."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return 1
    if is_quick_worker(worker.state.total_resources):
        return 1
    client = worker._get_client()  # noqa: SLF001 - get_client() would make it the default one
    others = client.scheduler_info(n_workers=-1)["workers"].values()
    return max(1, sum(not is_quick_worker(other.get("resources", {})) for other in others))


def spread(
    order: Order | None, piece: Piece, arguments: Sequence[Any], progress: Listener, stop: Callable[[], bool]
) -> Iterator[tuple[int, Any]]:
    """Do pieces on all workers, and yield number and result of each as it comes.

    Without an order, or outside of a worker, they are done here, in their order. While the workers
    are busy with pieces, this run's own worker takes part. A piece whose worker is lost is done again.

    Raises:
        CancelledError: ``stop`` said so; pieces on other workers end at their next event.
    """
    if order is None or workers_of_this_run() == 1:
        for number, value in enumerate(arguments):
            yield number, piece(value, progress)
        return
    from distributed import as_completed, get_worker, worker_client

    needed = demands_of_piece(order.spec.needs, get_worker().state.total_resources)
    with worker_client() as client:
        contents = []
        if order.spec.files and not order.sees_submitter():
            with surroundings(order, {}) as folder:
                paths = [
                    Path(blob.path) if folder is None else folder / place
                    for place, blob in order.spec.files.items()
                ]
                contents = [client.scatter(path.read_bytes(), hash=True) for path in paths]
        futures = client.map(
            partial(do_piece, order.to_dict(), piece),
            arguments,
            *([content] * len(arguments) for content in contents),
            key=[f"moma-piece-{order.run_id}-{number}" for number in range(len(arguments))],
            resources=needed or None,
            priority=order.spec.priority + 1,  # what has begun is finished first
            pure=False,
            batch_size=BATCH,
        )
        numbers = {future.key: number for number, future in enumerate(futures)}
        try:
            arriving = as_completed(futures)
            while not arriving.is_empty():
                for future in arriving.next_batch(block=False):
                    yield numbers[future.key], future.result()
                    future.release()
                if stop():
                    raise CancelledError(CANCELLED)
                time.sleep(PAUSE)
        finally:
            client.cancel([future for future in futures if not future.done()])


def do_piece(order: dict[str, Any], piece: Piece, value: Any, *contents: bytes) -> Any:
    """Do one piece on a worker; Dask calls this."""
    parsed = Order.from_dict(order)
    request = parsed.folder / CANCEL  # a worker that does not see it does its piece to the end

    def heed(_: Event) -> None:
        if request.exists():
            raise CancelledError(CANCELLED)

    hashes = [blob.sha256 for blob in parsed.spec.files.values()]
    with surroundings(parsed, dict(zip(hashes, contents, strict=False))):
        return piece(value, heed)
