"""The scaling model and the scheduler's simulation as rows of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from moma_app.bench.result import Report, Submission
from moma_app.bench.scaling import (
    Coefficients,
    Outcome,
    Plan,
    Remedy,
    Scaling,
    Source,
    crossover_rows,
    knn_seconds,
)
from moma_app.bench.table import Table, duration, megabytes, share

HOUR = 3600.0
DAY = 86_400.0


class Term(NamedTuple):
    """How a coefficient is shown: symbol in the formulas, what it is, per what, and whether it is bytes."""

    symbol: str
    what: str
    per: str
    is_bytes: bool = False


TERMS: dict[str, Term] = {
    "graph_seconds": Term("g", "graph building, one core", "structure"),
    "graph_bytes": Term("G", "graph in the cache", "structure", is_bytes=True),
    "encode_seconds": Term("e", "encoding, one module alone", "structure and module"),
    "encode_group_seconds": Term("e₄", "encoding, modules share a pass", "structure and module"),
    "embedding_bytes": Term("E", "embedding", "structure and module", is_bytes=True),
    "knn_pair_seconds": Term("a", "neighbours, pairs", "row²"),
    "knn_row_bytes": Term("B", "neighbours, memory", "row", is_bytes=True),
    "gram_seconds": Term("q", "weights, Gram matrix", "row and module²"),
    "solve_seconds": Term("s", "weights, solution", "module³"),
    "weights_bytes": Term("Q", "weights, memory", "row and module", is_bytes=True),
    "merge_seconds": Term("u", "merging, files in the page cache", "GB read"),
    "module_bytes": Term("P", "module's file", "module", is_bytes=True),
    "task_seconds": Term("τ", "scheduler's processor time", "future"),
    "task_bytes": Term("M", "scheduler's memory", "future", is_bytes=True),
    "run_seconds": Term("r", "tracking store, 40 metrics", "run"),
    "worker_bytes": Term("W", "process that encodes", "worker", is_bytes=True),
}


def tables(report: Report) -> list[Table]:
    """Return the simulation; the coefficients, every plan, and what changes the last one."""
    found = [submissions(report.submissions)] if report.submissions else []
    if report.scaling is None:
        return found
    plans = map(stages, report.scaling.outcomes)
    return [*found, coefficients(report.scaling), *plans, remedy_table(report.scaling.remedies)]


def lines(report: Report) -> list[str]:
    """Return what a reader of these tables should know."""
    found = submission_lines(report.submissions, report.submission_workers)
    return found + ([] if report.scaling is None else scaling_lines(report.scaling, report.repeats))


def coefficients(scaling: Scaling) -> Table:
    """Return every coefficient with what was measured for it."""
    return Table(
        "Coefficients of this machine",
        [
            ("symbol", "left"),
            ("what", "left"),
            ("value", "right"),
            ("slowest/fastest", "right"),
            ("measured", "left"),
        ],
        [
            [
                term.symbol,
                term.what,
                _value(scaling.known, name),
                _spread(scaling.sources[name]),
                scaling.sources[name].what,
            ]
            for name, term in TERMS.items()
        ],
    )


def stages(outcome: Outcome) -> Table:
    """Return what each stage of a plan takes."""
    rows = [
        [
            stage.name,
            span(stage.seconds),
            share(stage.counted / outcome.seconds) if stage.counted else "hidden",
            amount(stage.memory),
            amount(stage.stored),
            amount(stage.moved),
            _money(stage.cost, outcome.plan),
        ]
        for stage in outcome.stages
    ]
    total = ["whole", span(outcome.seconds), "", amount(outcome.memory), amount(outcome.stored), ""]
    rows.append([*total, _money(outcome.cost, outcome.plan)])
    return Table(
        title(outcome.plan),
        [
            ("stage", "left"),
            ("time", "right"),
            ("of the whole", "right"),
            ("memory, one process", "right"),
            ("stored", "right"),
            ("moved", "right"),
            ("cost", "right"),
        ],
        rows,
    )


def remedy_table(found: Sequence[Remedy]) -> Table:
    """Return the last plan with one more change in each line."""
    return Table(
        f"What changes it: {title(found[0].outcomes[-1].plan)}",
        [("futures and order", "left"), ("time", "right"), ("slowest stage", "left"), ("futures", "right")],
        [
            [
                remedy.change,
                span(remedy.seconds),
                remedy.bottleneck,
                f"{sum(outcome.plan.futures for outcome in remedy.outcomes):,}",
            ]
            for remedy in found
        ],
    )


def scaling_lines(scaling: Scaling, repeats: int) -> list[str]:
    """Say what is extrapolated, and where the laws cross."""
    known = scaling.known
    largest = max((outcome.plan.rows for outcome in scaling.outcomes), default=0)
    said = [
        f"Times of plans are computed, not measured. Of a coefficient's {repeats} repeats the fastest counts.",
        "Hidden stages run beside encoding: the slowest of encoding, storage and scheduler counts.",
        f"Neighbours of one module, {largest:,} rows, here: {span(knn_seconds(known, largest))} (a m²).",
        f"Neighbours take longer than encoding from {crossover_rows(known):,.0f} rows on.",
    ]
    said += [
        f"{title(outcome.plan)}: {span(outcome.seconds)}, slowest is {outcome.bottleneck}; one scheduler "
        f"feeds {_count(outcome.fed)} such workers."
        for outcome in scaling.outcomes
    ]
    bandwidths = {outcome.plan.bandwidth for outcome in scaling.outcomes}
    said += [
        f"Assumed, not measured: {amount(value)}/s of storage that all workers share."
        for value in sorted(bandwidths)
    ]
    return said


def submissions(found: Sequence[Submission]) -> Table:
    """Return what each way to submit took."""
    return Table(
        "",
        [
            ("way", "left"),
            ("tasks", "right"),
            ("futures", "right"),
            ("time", "right"),
            ("per task", "right"),
            ("tasks/s", "right"),
            ("all sent", "right"),
            ("first done", "right"),
            ("scheduler's CPU per future", "right"),
            ("scheduler's memory", "right"),
            ("client's memory", "right"),
        ],
        [
            [
                run.way,
                f"{run.tasks:,}",
                f"{run.futures:,}",
                span(run.seconds),
                duration(run.each),
                f"{1 / run.each:,.0f}",
                duration(run.sent),
                duration(run.first),
                duration(run.scheduler_cpu / run.futures),
                f"{megabytes(run.scheduler_mb)} (+{run.scheduler_work_mb:,.0f})",
                _client(run),
            ]
            for run in found
        ],
    )


def submission_lines(found: Sequence[Submission], workers: int) -> list[str]:
    """Say what the simulation is, if there was one."""
    if not found:
        return []
    return [
        f"Each way once, with a scheduler, a client and {workers} workers of one thread, a process each.",
        "All of them share this machine's cores. A task does nothing but return a path.",
    ]


def title(plan: Plan) -> str:
    """Describe a plan in one line."""
    name = f"{plan.modules:,} modules, {plan.rows:,} rows, "
    if plan.speed_up == 1:
        return name + ("this machine" if plan.workers == 1 else f"{plan.workers:,} workers like this machine")
    return name + f"{plan.workers:,} GPUs (assumed {plan.speed_up:g} × this CPU, not measured)"


def span(seconds: float) -> str:
    """Write a time that may be days."""
    if seconds == 0:
        return "0 s"
    if seconds < 1000:
        return duration(seconds)
    for unit, size in (("min", 60.0), ("h", HOUR)):
        if seconds / size < (120 if unit == "min" else 48):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / DAY:,.3g} days"


def amount(size: float) -> str:
    """Write a number of bytes with three digits."""
    if not size:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if float(f"{size:.3g}") < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1000 else f"{size:,.0f} TB"


def _value(known: Coefficients, name: str) -> str:
    value, term = getattr(known, name), TERMS[name]
    if name == "merge_seconds":
        value *= 1e9
    if term.is_bytes:
        return f"{amount(value)} a {term.per}"
    return (f"{duration(value)}" if value >= 1e-7 else f"{value:.3g} s") + f" a {term.per}"


def _spread(source: Source) -> str:
    return "–" if source.spread is None else f"{source.spread:.2f}"


def _money(cost: float, plan: Plan) -> str:
    return f"{cost:,.2f}" if plan.price else "–"


def _count(value: float) -> str:
    return "any number of" if value == float("inf") else f"{value:,.0f}"


def _client(run: Submission) -> str:
    extra = "" if run.client_work_mb is None else f" (+{run.client_work_mb:,.0f})"
    return megabytes(run.client_mb) + extra
