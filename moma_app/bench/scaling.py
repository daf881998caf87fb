"""A model of a large composition: time, memory, storage and cost of each stage, from measured coefficients.

Pure functions, all in seconds and bytes. The plan is that of one composition: graphs of m structures,
N modules' embeddings of them, N neighbour estimates, weights, the merged module, one record of the run.
``docs/scaling.md`` has the formulas as a reader sees them, and :mod:`moma_app.bench.coefficients` measures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

CHUNK = 10_000
"""Structures that one future encodes."""
STACKED = 16
"""Modules that a GPU takes at once, see :data:`moma_app.hub.encode.MODULES_AT_ONCE`."""
FACTORS = (20.0, 100.0)
"""Speeds of a GPU in units of the measured CPU that are assumed where none is given."""
WITH_ENCODING = ("encoding", "storage", "scheduler")
"""Stages that run at the same time: the slowest of them is what the clock shows."""


@dataclass(frozen=True)
class Coefficients:
    """What one worker like the measured machine takes; seconds and bytes.

    Attributes:
        graph_seconds: building one structure's graph on one core.
        graph_bytes: of it in the cache.
        encode_seconds: one structure by one module, the module alone.
        encode_group_seconds: the same where several modules share a pass.
        embedding_bytes: one structure by one module.
        knn_pair_seconds: neighbour estimate, for each of the m² pairs of rows.
        knn_row_bytes: memory of that for each row, beside its embedding.
        gram_seconds: composition weights, for each row and pair of modules.
        solve_seconds: and for each cube of modules.
        weights_bytes: memory for each row and module, the estimates included.
        merge_seconds: for each byte of module that is read, from memory of the system.
        module_bytes: of a module's file.
        task_seconds: of the scheduler's processor for each future; one process, whatever the workers.
        task_bytes: of the scheduler's memory for each future.
        run_seconds: recording a run with 40 metrics, one at a time.
        worker_bytes: of a process that encodes.
    """

    graph_seconds: float
    graph_bytes: float
    encode_seconds: float
    encode_group_seconds: float
    embedding_bytes: float
    knn_pair_seconds: float
    knn_row_bytes: float
    gram_seconds: float
    solve_seconds: float
    weights_bytes: float
    merge_seconds: float
    module_bytes: float
    task_seconds: float
    task_bytes: float
    run_seconds: float
    worker_bytes: float


@dataclass(frozen=True)
class Source:
    """Where a coefficient comes from.

    Attributes:
        what: was measured.
        spread: time of the slowest repeat over that of the fastest, if there were repeats.
    """

    what: str
    spread: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be done, and by what.

    Attributes:
        modules: N.
        rows: m, structures of the task.
        workers: processes that encode, each on a machine like the measured one.
        cores: of a worker, that build graphs.
        speed_up: of a worker's encoding and neighbour search over the measured CPU; assumed.
        chunk: structures of a chunk.
        group: modules that share a pass and a future.
        bundle: chunks of a future.
        resident: futures of a chunk go where its graphs are, so that these are read once.
        bandwidth: of the storage that all workers share, bytes a second; assumed.
        runs: records in the tracking store.
        price: of one worker for an hour.
    """

    modules: int
    rows: int
    workers: int = 1
    cores: int = 2
    speed_up: float = 1.0
    chunk: int = CHUNK
    group: int = 1
    bundle: int = 1
    resident: bool = False
    bandwidth: float = 1e9
    runs: int = 1
    price: float = 0.0

    @property
    def chunks(self) -> int:
        """Chunks of structures."""
        return math.ceil(self.rows / self.chunk)

    @property
    def passes(self) -> int:
        """Groups of modules, each of which reads all graphs."""
        return math.ceil(self.modules / self.group)

    @property
    def bundles(self) -> int:
        """Bundles of chunks."""
        return math.ceil(self.chunks / self.bundle)

    @property
    def futures(self) -> int:
        """Futures that encode, with a reduction for each module and one of all."""
        return self.passes * self.bundles + self.modules + 1


@dataclass(frozen=True)
class Stage:
    """One stage of a plan.

    Attributes:
        name: of the stage.
        seconds: that it takes on the clock, alone.
        counted: seconds that it adds to the whole; 0 if another one that runs beside it is slower.
        memory: bytes in the process that needs most.
        stored: bytes that stay.
        moved: bytes through the shared storage.
        cost: of all workers while it counts, working or waiting.
    """

    name: str
    seconds: float
    memory: float = 0.0
    stored: float = 0.0
    moved: float = 0.0
    counted: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a plan takes.

    Attributes:
        plan: as it was given.
        stages: in order.
        fed: workers that one scheduler can keep busy with futures of this size.
    """

    plan: Plan
    stages: tuple[Stage, ...]
    fed: float

    @property
    def seconds(self) -> float:
        """On the clock, from the first graph to the merged module."""
        return sum(stage.counted for stage in self.stages)

    @property
    def bottleneck(self) -> str:
        """The stage that takes most."""
        return max(self.stages, key=lambda stage: stage.counted).name

    @property
    def cost(self) -> float:
        """Of all workers from begin to end."""
        return sum(stage.cost for stage in self.stages)

    @property
    def memory(self) -> float:
        """Bytes in the process that needs most."""
        return max(stage.memory for stage in self.stages)

    @property
    def stored(self) -> float:
        """Bytes that stay."""
        return sum(stage.stored for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        names = ("seconds", "bottleneck", "cost", "memory", "stored")
        return asdict(self) | {name: getattr(self, name) for name in names}


def evaluate(known: Coefficients, plan: Plan) -> Outcome:
    """Return what a plan takes.

    A parallel stage of equal units takes ``ceil(units / workers)`` times one unit; so twice the
    workers halve it as long as there are units for all. Encoding, the storage that feeds it, and
    the scheduler that hands it out run beside one another.
    """
    stages = list(_stages(known, plan))
    slowest = max((stage for stage in stages if stage.name in WITH_ENCODING), key=lambda stage: stage.seconds)
    hourly = plan.workers * plan.price / 3600
    counted = [
        replace(stage, counted=stage.seconds, cost=stage.seconds * hourly)
        if stage is slowest or stage.name not in WITH_ENCODING
        else stage
        for stage in stages
    ]
    fed = _future_seconds(known, plan) / known.task_seconds if known.task_seconds else math.inf
    return Outcome(plan, tuple(counted), fed)


def _stages(known: Coefficients, plan: Plan) -> Iterator[Stage]:
    n, m = plan.modules, plan.rows
    part = min(m, plan.chunk)
    graphs, embeddings = m * known.graph_bytes, n * m * known.embedding_bytes
    yield Stage(
        "graphs",
        max(
            _rounds(plan.chunks, plan.workers) * part * known.graph_seconds / plan.cores,
            graphs / plan.bandwidth,
        ),
        memory=known.worker_bytes + part * known.graph_bytes,
        stored=graphs,
        moved=graphs,
    )
    held = min(m, plan.chunk * plan.bundle)
    yield Stage(
        "encoding",
        _rounds(plan.passes * plan.bundles, plan.workers) * _future_seconds(known, plan),
        memory=known.worker_bytes + held * (known.graph_bytes + min(n, plan.group) * known.embedding_bytes),
        stored=embeddings,
    )
    moved = (
        graphs * (1 if plan.resident else plan.passes)
        + n * plan.bundles * known.module_bytes
        + 2 * embeddings  # written by who encodes, read by who looks for neighbours
    )
    yield Stage("storage", moved / plan.bandwidth, moved=moved)
    yield Stage("scheduler", plan.futures * known.task_seconds, memory=plan.futures * known.task_bytes)
    yield Stage(
        "neighbours",
        _rounds(n, plan.workers) * knn_seconds(known, m) / plan.speed_up,
        memory=known.worker_bytes + m * (known.embedding_bytes + known.knn_row_bytes),
    )
    yield Stage(
        "weights",
        known.gram_seconds * m * n**2 + known.solve_seconds * n**3,
        memory=m * n * known.weights_bytes,
    )
    yield Stage(
        "merging",
        n * known.module_bytes * max(known.merge_seconds, 1 / plan.bandwidth),
        memory=known.worker_bytes + known.module_bytes,
        stored=(n + 1) * known.module_bytes,
        moved=n * known.module_bytes,
    )
    yield Stage("tracking", plan.runs * known.run_seconds)


def knn_seconds(known: Coefficients, rows: int) -> float:
    """Return the time of one module's neighbour estimate on the measured machine."""
    return known.knn_pair_seconds * rows**2


def crossover_rows(known: Coefficients) -> float:
    """Return the number of rows from which on neighbours take longer than encoding, whatever the modules.

    Both are for each module: where a m² = e m they take the same, and a speed-up of both does not move
    that point.
    """
    return known.encode_seconds / known.knn_pair_seconds


def _rounds(units: int, workers: int) -> int:
    return math.ceil(units / workers)


def _future_seconds(known: Coefficients, plan: Plan) -> float:
    """Return the time of one encoding future."""
    each = known.encode_seconds if plan.group == 1 else known.encode_group_seconds
    rows = min(plan.rows, plan.chunk * plan.bundle)
    return rows * min(plan.modules, plan.group) * each / plan.speed_up


USUAL = (
    Plan(modules=18, rows=1_000, workers=1, group=4),
    Plan(modules=100, rows=100_000, workers=8),
    Plan(modules=1_000, rows=1_000_000, workers=64),
)
"""A laptop, a few machines, the large hub."""


@dataclass(frozen=True)
class Remedy:
    """A plan beside the one above it in a list.

    Attributes:
        change: what is done otherwise.
        outcomes: of the plans that are done one after another.
    """

    change: str
    outcomes: tuple[Outcome, ...]

    @property
    def seconds(self) -> float:
        """Of all plans."""
        return sum(outcome.seconds for outcome in self.outcomes)

    @property
    def bottleneck(self) -> str:
        """The slowest stage of the slowest plan."""
        return max(self.outcomes, key=lambda outcome: outcome.seconds).bottleneck


def plans_for(
    modules: int | None = None,
    rows: int | None = None,
    workers: int | None = None,
    *,
    factors: Sequence[float] = FACTORS,
    price: float = 0.0,
    bandwidth: float = 1e9,
) -> list[Plan]:
    """Return the usual plans, or the one that is asked for, on CPUs and with assumed GPUs.

    Args:
        modules, rows, workers: of the one plan; what is left out is as in the largest usual one.
        factors: speeds of a GPU in units of the measured CPU.
        price: of a worker for an hour.
        bandwidth: of the shared storage, bytes a second.
    """
    *small, large = (replace(plan, price=price, bandwidth=bandwidth) for plan in USUAL)
    wish = {"modules": modules, "rows": rows, "workers": workers}
    given = {name: value for name, value in wish.items() if value is not None}
    if given:
        return with_factors(replace(large, **given), factors)  # type: ignore[arg-type]  # all are counts
    return [*small, *with_factors(large, factors)]


def answer(known: Coefficients, sources: dict[str, Source], plans: Sequence[Plan]) -> Scaling:
    """Evaluate all plans, and what changes the last one."""
    return Scaling(
        known, sources, tuple(evaluate(known, plan) for plan in plans), tuple(remedies(known, plans[-1]))
    )


def with_factors(plan: Plan, factors: Sequence[float] = FACTORS) -> list[Plan]:
    """Return the plan on machines like the measured one, and with GPUs so many times as fast."""
    return [replace(plan, speed_up=factor) for factor in (1.0, *factors)]


def remedies(known: Coefficients, plan: Plan) -> list[Remedy]:
    """Return the plan with one more change in each line."""
    grouped = replace(plan, group=STACKED)
    near = replace(grouped, resident=True)
    few = max(1, plan.modules // 10)
    sample = min(plan.rows, plan.chunk)
    screened = (
        replace(near, rows=sample, chunk=max(1, math.ceil(sample / plan.workers))),
        replace(near, modules=few),
    )
    lines = (
        ("one module, one chunk a future", (plan,)),
        (f"{STACKED} modules a future", (grouped,)),
        ("and futures go where the chunk's graphs are", (near,)),
        (f"and all modules on {sample:,} rows first, the best {few:,} on all", screened),
    )
    return [Remedy(change, tuple(evaluate(known, each) for each in plans)) for change, plans in lines]


@dataclass(frozen=True)
class Scaling:
    """The model's answer, with what it rests on.

    Attributes:
        known: the coefficients.
        sources: of each of them, by the coefficient's name.
        outcomes: of the plans.
        remedies: of the last plan.
    """

    known: Coefficients
    sources: dict[str, Source]
    outcomes: tuple[Outcome, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "coefficients": asdict(self.known),
            "sources": {name: asdict(source) for name, source in self.sources.items()},
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
            "remedies": [
                {"change": remedy.change, "outcomes": [outcome.to_dict() for outcome in remedy.outcomes]}
                for remedy in self.remedies
            ],
        }
