"""As many tiny futures as a large composition has, through a real scheduler: a side for each way to submit.

The leader's session measures this process's memory, which is the client's.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from moma_app.bench.cluster import START, cluster
from moma_app.bench.futures import Part, encode, encode_bundle, join
from moma_app.bench.job import Job
from moma_app.bench.scaling import Plan
from moma_app.bench.sizes import required
from moma_app.bench.work.base import Work
from moma_app.errors import MomaError

Client = Any
Future = Any
"""Dask's; they are imported where they are needed, and only partly typed."""

BATCH = 1_000
"""Futures that ``Client.map`` sends in one message."""
BUNDLE = 10
"""Chunks in one task."""
LONGEST = 1_800
"""Seconds after which a way to submit is given up."""


def submit(job: Job) -> Work:
    """Call ``Client.submit`` once for each task."""

    def send(client: Client, modules: list[str], chunks: list[str]) -> Future:
        rows = [
            [client.submit(encode, module, chunk, key=("encode", module, chunk)) for chunk in chunks]
            for module in modules
        ]
        return _reduce(client, modules, rows)

    return _work(job, send)


def map_(job: Job) -> Work:
    """Call ``Client.map`` once for all tasks; it sends them in batches."""

    def send(client: Client, modules: list[str], chunks: list[str]) -> Future:
        pairs = [(module, chunk) for module in modules for chunk in chunks]
        futures = client.map(
            encode,
            *(list(names) for names in zip(*pairs, strict=True)),
            key=[("encode", *pair) for pair in pairs],
            batch_size=BATCH,
        )
        return _reduce(client, modules, _cut(futures, len(chunks)))

    return _work(job, send)


def graph(job: Job) -> Work:
    """Send everything as one graph, of which only the last result is a future."""

    def send(client: Client, modules: list[str], chunks: list[str]) -> Future:
        tasks: dict[Any, Any] = {
            ("encode", module, chunk): (encode, module, chunk) for module in modules for chunk in chunks
        }
        tasks |= {
            ("join", module): (join, [("encode", module, chunk) for chunk in chunks]) for module in modules
        }
        tasks["all"] = (join, [("join", module) for module in modules])
        return client.get(tasks, "all", sync=False)

    return _work(job, send)


def bundle(job: Job) -> Work:
    """As :func:`map_`, with several chunks in one task."""

    def send(client: Client, modules: list[str], chunks: list[str]) -> Future:
        parts = _cut(chunks, BUNDLE)
        pairs = [(module, part) for module in modules for part in parts]
        futures = client.map(
            encode_bundle,
            *(list(names) for names in zip(*pairs, strict=True)),
            key=[("encode", module, part[0]) for module, part in pairs],
            batch_size=BATCH,
        )
        return _reduce(client, modules, _cut(futures, len(parts)))

    return _work(job, send, of=BUNDLE)


def _reduce(client: Client, modules: list[str], rows: list[list[Future]]) -> Future:
    joined = client.map(join, rows, key=[("join", module) for module in modules], batch_size=BATCH)
    return client.submit(join, joined, key="all")


def _cut(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _work(job: Job, send: Callable[[Client, list[str], list[str]], Future], of: int = 1) -> Work:
    plan = Plan(required(job.sizes.modules), required(job.sizes.rows), bundle=of)
    modules = [f"modules/{number:06d}" for number in range(plan.modules)]
    chunks = [f"graphs/{number:06d}" for number in range(plan.chunks)]
    facts: dict[str, Any] = {"tasks": plan.chunks * plan.modules, "futures": plan.futures}

    def run() -> None:
        with _ending_at_once():
            facts.update(_simulate(job, lambda client: send(client, modules, chunks), facts["tasks"]))

    return Work(run, units=plan.modules * plan.chunks, warm_up=lambda: None, facts=facts)


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """Let the signal by which an interrupted leader ends this process end the cluster too.

    Nothing is closed in order: a client that lets go of 10⁵ futures takes longer than the leader waits.
    """

    def end(*_: object) -> None:
        for process in import_module("psutil").Process().children(recursive=True):
            process.kill()
        os._exit(1)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _simulate(job: Job, send: Callable[[Client], Future], expected: int) -> dict[str, float]:
    """Start a cluster, send everything, wait for the last result; return what it took.

    Raises:
        MomaError: it takes too long, or results are missing.
    """
    distributed: Any = import_module("distributed")
    workers = required(job.sizes.workers)
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        cluster(workers, Path(folder)) as running,
        distributed.Client(running.address, timeout=START, set_as_default=False) as client,
    ):
        client.wait_for_workers(workers, timeout=START)
        client.submit(join, [Part(1, 0.0, "")]).result(timeout=START)  # workers import what they need
        idle_cpu, idle_mb = running.cpu_seconds, running.megabytes
        started, begun = time.perf_counter(), time.time()
        future = send(client)
        sent = time.perf_counter() - started
        try:
            result: Part = future.result(timeout=LONGEST)
        except TimeoutError as exc:
            raise MomaError(
                f"The simulation did not end in {LONGEST / 60:.0f} minutes: give fewer --modules or --rows."
            ) from exc
        seconds = time.perf_counter() - started
        cpu = running.cpu_seconds - idle_cpu
        running.peak_mb = max(running.peak_mb, running.megabytes)
    if result.units != expected:
        raise MomaError(f"The simulation returned {result.units:,} results of {expected:,}.")
    return {
        "seconds": seconds,
        "sent": sent,
        "first": result.first - begun,
        "scheduler_cpu": cpu,
        "scheduler_mb": running.peak_mb,
        "scheduler_work_mb": max(0.0, running.peak_mb - idle_mb),
    }
