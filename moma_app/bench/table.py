"""Results as rows of text, for a terminal and for Markdown alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from moma_app.bench.cases import Case, Limit
from moma_app.bench.growth import exponents
from moma_app.bench.result import CaseResult, GrowthPoint, Machine, Side


class Table(NamedTuple):
    """A table; a column is its heading and ``left`` or ``right``."""

    title: str
    columns: list[tuple[str, str]]
    rows: list[list[str]]


def comparison(results: Iterable[CaseResult]) -> Table:
    """Return both sides of every case, with the ratio beside its bar."""
    return Table(
        "",
        [
            ("benchmark", "left"),
            ("ours", "right"),
            ("theirs", "right"),
            ("ratio", "right"),
            ("bar", "right"),
            ("reached", "left"),
            ("memory, ours", "right"),
            ("theirs", "right"),
            ("difference", "right"),
            ("of peak", "right"),
            ("sizes", "left"),
        ],
        [
            [
                result.case.name,
                _time(result.ours, result.case),
                "–" if result.theirs is None else _time(result.theirs, result.case),
                "–" if result.ratio is None else f"{result.ratio:.1f} ×",
                _bar(result.case),
                {True: "yes", False: "no", None: "–"}[result.reached],
                _memory(result.ours),
                "–" if result.theirs is None else _memory(result.theirs),
                _difference(result),
                share(result.ours.peak_share),
                str(result.case.sizes),
            ]
            for result in results
        ],
    )


def growth(points: Sequence[GrowthPoint]) -> Table:
    """Return the times of the growth curves."""
    return Table(
        "",
        [
            ("grows", "left"),
            ("work", "left"),
            ("size", "right"),
            ("time", "right"),
            ("memory", "right"),
            ("of peak", "right"),
        ],
        [
            [
                point.axis,
                point.label,
                f"{point.size:,}",
                duration(point.seconds) + (" a structure" if point.per == "structure" else ""),
                megabytes(point.peak_mb),
                share(point.peak_share),
            ]
            for point in points
        ],
    )


def growth_laws(points: Sequence[GrowthPoint]) -> list[str]:
    """Return a sentence for each curve."""
    return [
        f"{label}: time grows as {axis} to the power {power:.2f}." for axis, label, power in exponents(points)
    ]


def profile(result: CaseResult) -> Table:
    """Return where our time goes."""
    return Table(
        f"{result.case.name}: where our time goes, by operation",
        [("operation", "left"), ("share", "right"), ("calls", "right")],
        [[row["operation"], share(row["share"]), f"{row['calls']:,}"] for row in result.profile],
    )


def catalogue(cases: Iterable[Case]) -> Table:
    """Return what can be measured."""
    return Table(
        "",
        [("benchmark", "left"), ("bar", "right"), ("work", "left")],
        [[case.name, _bar(case), _work(case)] for case in cases],
    )


def machine_lines(machine: Machine) -> list[str]:
    """Describe the machine."""
    memory = "" if machine.memory_mb is None else f", {machine.memory_mb / 1024:.0f} GiB memory"
    lines = [
        f"Machine: {machine.cpu} of {machine.cores} cores{memory}.",
        "A large float32 matrix product attains "
        + ", ".join(f"{rate:,.0f} GFLOP/s ({device})" for device, rate in machine.peak_gflops.items())
        + ".",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in machine.versions.items()) + ".",
    ]
    if machine.cuda is not None:
        lines.insert(1, f"GPU: {machine.cuda}.")
    return lines


def remarks(result: CaseResult) -> list[str]:
    """Return what a reader of one case should know beside its row."""
    sides = [("ours", result.ours), ("theirs", result.theirs)]
    lines = []
    for name, side in sides:
        if side is not None:
            facts = [f"{key} {_fact(value)}" for key, value in side.facts.items()]
            facts.append(f"warm-up {duration(side.warm_up)}, not counted")
            lines.append(f"{result.case.name}, {name}: {', '.join(facts)}.")
    return lines


def markdown(table: Table) -> str:
    """Write a table as Markdown."""
    rows = [[heading for heading, _ in table.columns]]
    rows.append(["---:" if side == "right" else "---" for _, side in table.columns])
    rows += [[cell.replace("|", "\\|") for cell in row] for row in table.rows]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"**{table.title}**\n\n{text}" if table.title else text


def duration(seconds: float) -> str:
    """Write a time with three digits: 410 ms, 1.64 s, 12.9 s, 4.1 min."""
    for unit, factor in (("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        value = seconds / factor
        if float(f"{value:.3g}") < 1000:
            return f"{value:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds / 60:,.1f} min"


def megabytes(value: float | None) -> str:
    """Write an amount of memory."""
    return "–" if value is None else f"{value:,.0f} MB"


def share(value: float | None) -> str:
    """Write a share in per cent."""
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


def _time(side: Side, case: Case) -> str:
    text = f"{duration(side.median)}/{case.unit}"
    if len(side.repeats) == 1:
        return text
    return f"{text} ({duration(side.minimum)} to {duration(side.maximum)})"


def _memory(side: Side) -> str:
    extra = "" if side.work_mb is None else f" (+{side.work_mb:,.0f})"
    return megabytes(side.peak_mb) + extra


def _bar(case: Case) -> str:
    if case.bar is not None:
        return f"≥ {case.bar:g} ×"
    return "–" if case.limit is None else _limit(case.limit)


def _limit(limit: Limit) -> str:
    if limit.what == "seconds":
        return f"≤ {limit.at_most:g} s"
    return f"≤ {limit.at_most / 1024:g} GiB"


def _difference(result: CaseResult) -> str:
    agreement = result.agreement
    if agreement is None:
        return "–"
    return f"{agreement.difference:.1g}" + ("" if agreement.agree else " (too large)")


def _work(case: Case) -> str:
    where = f" ({case.task})" if case.task else ""
    against = f"; against {case.against}" if case.against else ""
    when = "; on request" if case.on_request else ""
    return f"{case.work}{where}{against}; {case.sizes}{when}"


def _fact(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
