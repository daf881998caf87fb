"""Graphs of many structures: in chunks, and in several processes where that pays.

The result does not depend on how the structures are cut into chunks, nor on who builds them.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from moma_app.backbones.graphs import GraphSet, Schema
from moma_app.errors import InputError, StructureRefusedError
from moma_app.progress import Listener, Step, silent
from moma_app.structures import StructureSet

if TYPE_CHECKING:
    from joblib.externals.loky import ProcessPoolExecutor

GraphBuilder = Callable[[StructureSet], GraphSet]
"""Makes the graphs of at least one structure, in order, or raises ``InputError`` if one has none.

It travels to other processes: it can be pickled, and it starts there the faster, the less its
module imports.
"""

CHUNK_ATOMS = 2_000
"""Atoms per chunk: enough that NumPy's cost per call does not count, few enough for the cache."""
WORTH_SECONDS = 4.0
"""Other processes are started if this one would need longer for the rest; they start in 1 to 4 s."""


def build_in_chunks(
    builder: GraphBuilder,
    schema: Schema,
    structures: StructureSet,
    progress: Listener = silent,
    processes: int | None = None,
) -> GraphSet:
    """Build the graphs of many structures, in order.

    Args:
        processes: how many may build, this one among them; by default as set, or one per core. A
            short task is done by this one alone.

    Raises:
        StructureRefusedError: the builder refuses a structure; the first such is named.
    """
    bounds = [0, *(1 + np.flatnonzero(np.diff(structures.ptr[:-1] // CHUNK_ATOMS))), len(structures)]
    chunks = [structures[first:end] for first, end in pairwise(bounds) if first < end]
    parts: list[GraphSet] = []
    done = 0
    with closing(_build_all(builder, chunks, processes)) as results:  # ends other processes on an error, too
        for chunk, built in zip(chunks, results, strict=True):
            parts.append(_one_by_one(builder, schema, chunk, done) if built is None else built)
            done += len(chunk)
            fraction = done / len(structures)
            progress(Step(what="graphs built", done=done, total=len(structures), fraction=fraction))
    return GraphSet.join(schema, parts)


def _build(builder: GraphBuilder, chunk: StructureSet) -> GraphSet | None:
    """Build a chunk; ``None`` if a structure of it is refused."""
    try:
        return builder(chunk)
    except InputError:
        return None


def _one_by_one(builder: GraphBuilder, schema: Schema, chunk: StructureSet, first: int) -> GraphSet:
    """Build a chunk whose first structure has the position ``first``, so that a refused one is named."""
    parts = []
    for number in range(len(chunk)):
        try:
            parts.append(builder(chunk[number : number + 1]))
        except InputError as exc:
            raise StructureRefusedError(first + number, str(exc)) from exc
    return GraphSet.join(schema, parts)


def _build_all(
    builder: GraphBuilder, chunks: Sequence[StructureSet], processes: int | None
) -> Generator[GraphSet | None, None, None]:
    """Yield what becomes of each chunk, in order: alone, or with others if much is left to do."""
    fastest = float("inf")
    for number, chunk in enumerate(chunks):
        if number > 1 and fastest * (len(chunks) - number) > WORTH_SECONDS:
            helpers = (processes or _available_processes()) - 1
            if helpers > 0:
                yield from _build_with_helpers(builder, chunks[number:], helpers)
                return
        started = time.perf_counter()
        yield _build(builder, chunk)
        if number:  # the first chunk takes longer, because libraries are loaded
            fastest = min(fastest, time.perf_counter() - started)


def _build_with_helpers(
    builder: GraphBuilder, chunks: Sequence[StructureSet], helpers: int
) -> Iterator[GraphSet | None]:
    """Yield what becomes of each chunk, in order; this process builds too, and never waits.

    Where the next chunk in order is still with a helper and no other is left, this process builds
    it as well: the helper may not even have started. So it does where a helper has failed, because it
    was killed or could not import the builder; an error of the builder is then raised here.
    """
    with _pool(helpers) as pool:
        asked: deque[tuple[StructureSet, Future[GraphSet | None]]] = deque()
        rest = deque(chunks)
        while rest or asked:
            if rest and sum(not future.done() for _, future in asked) < 2 * helpers:
                chunk = rest.popleft()
                asked.append((chunk, _submit(pool, builder, chunk)))
            elif asked and asked[0][1].done():
                chunk, future = asked.popleft()
                yield _build(builder, chunk) if future.exception() else future.result()
            elif rest:
                chunk = rest.popleft()
                own: Future[GraphSet | None] = Future()
                own.set_result(_build(builder, chunk))
                asked.append((chunk, own))
            else:
                yield _build(builder, asked.popleft()[0])


def _submit(pool: ProcessPoolExecutor, builder: GraphBuilder, chunk: StructureSet) -> Future[GraphSet | None]:
    try:
        future: Future[GraphSet | None] = pool.submit(_build, builder, chunk)
    except (BrokenExecutor, OSError) as exc:  # a helper was killed, or none can be started here
        future = Future()
        future.set_exception(exc)
    return future


@contextmanager
def _pool(helpers: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes that end with the block, however it ends.

    loky's, because they do not run the user's script a second time as those of
    ``multiprocessing`` do where the script has no ``if __name__ == "__main__"``. Ctrl-C is this
    process's business: it ends the others.
    """
    from joblib.externals.loky import ProcessPoolExecutor

    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(helpers, initializer=ignore)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _available_processes() -> int:
    from joblib import cpu_count

    from moma_app.config import get_settings

    if multiprocessing.current_process().daemon:  # such a process may start no other
        return 1
    return get_settings().threads or cpu_count()
