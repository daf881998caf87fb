"""A whole run: the machine, the chosen cases, and what was asked for beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from moma_app.bench.cases import SCALING, SCHEDULER, Case
from moma_app.bench.coefficients import measure_coefficients, structure_cases
from moma_app.bench.growth import Point, measure_growth
from moma_app.bench.inputs import check_data, check_disk
from moma_app.bench.machine import examine
from moma_app.bench.result import Report
from moma_app.bench.run import Conduct, run_case
from moma_app.bench.scaling import Plan, answer
from moma_app.bench.simulation import check_packages, check_sizes, simulate
from moma_app.bench.sizes import Sizes, required
from moma_app.progress import Listener, Note, silent


@dataclass(frozen=True)
class Extras:
    """What is asked for beside the comparisons.

    Attributes:
        growth: points of the growth curves.
        futures: modules, rows and workers of the scheduler's simulation.
        plans: of large hubs, for the scaling model.
        task: whose structures the model's coefficients are measured with.
    """

    growth: Sequence[Point] = ()
    futures: Sizes | None = None
    plans: Sequence[Plan] = ()
    task: str | None = None


def measure(
    cases: Sequence[Case],
    extras: Extras,
    conduct: Conduct,
    progress: Listener = silent,
    keep: Callable[[Report], None] | None = None,
) -> Report:
    """Measure everything; ``keep`` is given the report after each case, as far as it is.

    Cases for a GPU are left out, and said so in the report, where no CUDA GPU is visible.

    Raises:
        DataNotFoundError: a task's data is not on this machine; raised before anything is measured.
        InputError: the disk is too small for a case's files, or there are too many futures; likewise.
        MissingDependencyError: a package is not installed; likewise.
        MomaError: a worker failed.
    """
    check_data([*cases, *(structure_cases(extras.task).values() if extras.plans else ())])
    check_disk(cases)
    _check_extras(extras)
    machine = examine(conduct.threads)
    conduct = replace(conduct, peak_gflops=machine.peak_gflops)
    left_out = [case.name for case in cases if case.device == "cuda" and machine.cuda is None]
    report = Report(machine, conduct.repeats, conduct.flush_reference)
    if left_out:
        sentence = f"Left out, because no CUDA GPU is visible to PyTorch: {', '.join(left_out)}."
        report = replace(report, left_out=(sentence,))
    for case in cases:
        if case.name in left_out:
            continue
        result = run_case(case, conduct, progress)
        report = replace(report, cases=(*report.cases, result))
        against = "" if result.ratio is None else f": {result.ratio:.1f} times as fast as the other side"
        progress(Note(message=f"{case.name} measured{against}"))
        if keep is not None:
            keep(report)
    for grown in _measure_extras(report, extras, conduct, progress):
        report = grown
        if keep is not None:
            keep(report)
    return report


def _check_extras(extras: Extras) -> None:
    if extras.futures is not None:
        check_packages([SCHEDULER])
        check_sizes(extras.futures)
    if extras.plans:
        check_packages([SCALING])


def _measure_extras(report: Report, extras: Extras, conduct: Conduct, progress: Listener) -> Iterator[Report]:
    """Yield the report as it grows."""
    if extras.growth:
        report = replace(report, growth=tuple(measure_growth(extras.growth, conduct, progress)))
        yield report
    if extras.futures is not None:
        found = tuple(simulate(extras.futures, progress=progress))
        report = replace(report, submissions=found, submission_workers=required(extras.futures.workers))
        yield report
    if extras.plans:
        known, sources = measure_coefficients(conduct, progress, task=extras.task)
        yield replace(report, scaling=answer(known, sources, extras.plans))
