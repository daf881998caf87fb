"""Measure the coefficients of the model in :mod:`moma_app.bench.scaling`, with the works of the comparisons.

The fastest repeat counts here, not the median: what else a machine does only ever slows one down, and
a coefficient is multiplied by millions. How much slower the slowest was is told beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from moma_app.bench.cases import SCALING, Case, choose
from moma_app.bench.growth import WIDTH, knn_point
from moma_app.bench.result import Side
from moma_app.bench.run import Conduct, run_case
from moma_app.bench.scaling import CHUNK, Coefficients, Source
from moma_app.bench.simulation import simulate
from moma_app.bench.sizes import Sizes, required
from moma_app.progress import Listener, Step, silent

MB = 2**20
FLOAT = 4
"""Bytes of a float32."""
ESTIMATE = 8
"""Bytes of an estimate, float64."""


FUTURES = Sizes(modules=100, rows=100 * CHUNK, workers=2)
"""Enough that the scheduler's memory for each can be told from what it had before."""


@dataclass(frozen=True)
class Samples:
    """How much is measured; the model extrapolates from there.

    Attributes:
        structures: that are made graphs and encoded.
        grouped: modules in one pass.
        knn_rows: a smaller and a larger number of rows; the larger one gives the time, both the memory.
        weights_rows: likewise, for the composition weights.
        weights_modules: of these.
        merged: modules that are merged, and parameters of each.
        futures: through the scheduler.
    """

    structures: int = 300
    grouped: int = 4
    knn_rows: tuple[int, int] = (20_000, 60_000)
    weights_rows: tuple[int, int] = (5_000, 20_000)
    weights_modules: int = 1_000
    merged: tuple[int, int] = (8, 10_000_000)
    futures: Sizes = FUTURES


USUAL = Samples()


def line(xs: tuple[float, float], ys: tuple[float, float]) -> tuple[float, float]:
    """Return a and b of y = a + b x through two points, where both must be at least 0.

    Noise may put the second point too low or too high for that: then the larger point decides alone.
    """
    slope = (ys[1] - ys[0]) / (xs[1] - xs[0])
    start = ys[0] - slope * xs[0]
    if slope < 0:
        return ys[1], 0.0
    return (start, slope) if start >= 0 else (0.0, ys[1] / xs[1])


def structure_cases(task: str | None, samples: Samples = USUAL) -> dict[str, Case]:
    """Return the cases that work on structures: graphs, one module, a group."""
    graphs, encode, together = choose(["graphs", "encode", "encode-all"])
    task = task or graphs.task
    wish = Sizes(structures=samples.structures)
    alone = {
        case.name: replace(case, task=task, against=None, bar=None, sizes=case.sizes.overridden(wish))
        for case in (graphs, encode)
    }
    group = replace(
        together,
        task=task,
        rows="random",
        against=None,
        bar=None,
        sizes=Sizes(structures=samples.structures, modules=samples.grouped),
    )
    return {**alone, group.name: group}


def _other_cases(samples: Samples) -> dict[str, Case]:
    weights, merge = choose(["weights-1000", "merge"])
    modules, parameters = samples.merged
    few, many = samples.weights_rows
    return {
        "knn-few": knn_point(samples.knn_rows[0]).case,
        "knn-many": knn_point(samples.knn_rows[1]).case,
        "weights-few": replace(weights, limit=None, sizes=Sizes(rows=few, modules=samples.weights_modules)),
        "weights-many": replace(weights, limit=None, sizes=Sizes(rows=many, modules=samples.weights_modules)),
        "merge": replace(merge, limit=None, sizes=Sizes(modules=modules, parameters=parameters)),
        "tracking": Case("tracking", "recording runs in MLflow on SQLite", None, "run", Sizes(), "tracking"),
    }


def measure_coefficients(
    conduct: Conduct,
    progress: Listener = silent,
    *,
    task: str | None = None,
    samples: Samples = USUAL,
    run: Callable[[Case, Conduct], Side] | None = None,
) -> tuple[Coefficients, dict[str, Source]]:
    """Measure everything that the model needs, some minutes.

    Args:
        conduct: how.
        progress: listener.
        task: whose structures; that of the comparisons by default.
        samples: how much.
        run: measures one case; by default in a process of its own.

    Returns:
        The coefficients, and for each what was measured and how much the repeats differed.

    Raises:
        DataNotFoundError: the task's data is not on this machine.
        MomaError: a worker failed.
    """
    cases = structure_cases(task, samples) | _other_cases(samples)
    sides: dict[str, Side] = {}
    total = len(cases) + 1
    for done, (name, case) in enumerate(cases.items(), start=1):
        sides[name] = run_case(case, conduct).ours if run is None else run(case, conduct)
        progress(Step(what=SCALING, done=done, total=total, fraction=done / total))
    (futures,) = simulate(samples.futures, ("map_",))
    progress(Step(what=SCALING, done=total, total=total, fraction=1.0))

    graphs, alone, group = sides["graphs"], sides["encode"], sides["encode-all"]
    knn_bytes = line(samples.knn_rows, (_work_bytes(sides["knn-few"]), _work_bytes(sides["knn-many"])))
    n = samples.weights_modules
    solve = line(samples.weights_rows, (sides["weights-few"].minimum, sides["weights-many"].minimum))
    estimates = line(
        samples.weights_rows, (_work_bytes(sides["weights-few"]), _work_bytes(sides["weights-many"]))
    )
    merged = samples.merged[0] * samples.merged[1] * FLOAT
    known = Coefficients(
        graph_seconds=graphs.minimum,
        graph_bytes=1e3 * float(graphs.facts["kB a structure"]),
        encode_seconds=alone.minimum,
        encode_group_seconds=group.minimum / samples.grouped,
        embedding_bytes=WIDTH * FLOAT,
        # All of the larger one's time goes to pairs: what is left for rows by two sizes is noise.
        knn_pair_seconds=sides["knn-many"].minimum / samples.knn_rows[1] ** 2,
        knn_row_bytes=knn_bytes[1],
        gram_seconds=solve[1] / n**2,
        solve_seconds=solve[0] / n**3,
        weights_bytes=ESTIMATE + estimates[1] / n,
        merge_seconds=sides["merge"].minimum / merged,
        module_bytes=_module_bytes(),
        task_seconds=futures.scheduler_cpu / futures.futures,
        task_bytes=futures.scheduler_work_mb * MB / futures.futures,
        run_seconds=sides["tracking"].minimum,
        worker_bytes=(alone.peak_mb or 0.0) * MB,
    )
    return known, _sources(samples, cases, sides)


def _sources(samples: Samples, cases: dict[str, Case], sides: dict[str, Side]) -> dict[str, Source]:
    """Say for each coefficient what was measured, and in which case if it is a time of repeats."""
    structures = f"{samples.structures:,} structures of {cases['graphs'].task} at most"
    knn = "kNN estimate, {:,} and {:,} rows, width {}".format(*samples.knn_rows, WIDTH)
    weights = "weights, {:,} and {:,} rows, {:,} modules".format(
        *samples.weights_rows, samples.weights_modules
    )
    futures = samples.futures
    tasks = required(futures.modules) * required(futures.rows) // CHUNK
    told = {
        "graph_seconds": (f"graphs, {structures}", "graphs"),
        "graph_bytes": (f"graphs, {structures}", None),
        "encode_seconds": (f"encode, {structures}", "encode"),
        "encode_group_seconds": (f"encode-all, {samples.grouped} modules, {structures}", "encode-all"),
        "embedding_bytes": (f"{WIDTH} numbers in float32", None),
        "knn_pair_seconds": (f"kNN estimate, {samples.knn_rows[1]:,} rows, width {WIDTH}", "knn-many"),
        "knn_row_bytes": (knn, None),
        "gram_seconds": (weights, "weights-many"),
        "solve_seconds": (weights, "weights-few"),
        "weights_bytes": (weights, None),
        "merge_seconds": ("merge, {} modules of {:,} parameters".format(*samples.merged), "merge"),
        "module_bytes": ("mean of the built-in modules' files", None),
        "task_seconds": (f"scheduler, {tasks:,} tasks by Client.map, once", None),
        "task_bytes": (f"scheduler, {tasks:,} tasks by Client.map, once", None),
        "run_seconds": ("10 runs in SQLite, metrics one by one", "tracking"),
        "worker_bytes": (f"encode, {structures}", None),
    }
    return {
        name: Source(what, None if case is None else sides[case].maximum / sides[case].minimum)
        for name, (what, case) in told.items()
    }


def _work_bytes(side: Side) -> float:
    return (side.work_mb or 0.0) * MB


def _module_bytes() -> float:
    from moma_app.bench.work.encode_all import builtin_modules

    sizes = [module.path.stat().st_size for module in builtin_modules() if module.path is not None]
    return sum(sizes) / len(sizes)
