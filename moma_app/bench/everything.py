"""A whole run: the machine, the chosen cases, the growth curves if asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from moma_app.bench.cases import Case
from moma_app.bench.growth import Point, measure_growth
from moma_app.bench.inputs import check_data, check_disk
from moma_app.bench.machine import examine
from moma_app.bench.result import Report
from moma_app.bench.run import Conduct, run_case
from moma_app.progress import Listener, Note, silent


def measure(
    cases: Sequence[Case],
    plan: Sequence[Point],
    conduct: Conduct,
    progress: Listener = silent,
    keep: Callable[[Report], None] | None = None,
) -> Report:
    """Measure everything; ``keep`` is given the report after each case, as far as it is.

    Cases for a GPU are left out, and said so in the report, where no CUDA GPU is visible.

    Raises:
        DataNotFoundError: a task's data is not on this machine; raised before anything is measured.
        InputError: the disk is too small for a case's files; likewise.
        MomaError: a worker failed.
    """
    check_data(cases)
    check_disk(cases)
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
    if plan:
        report = replace(report, growth=tuple(measure_growth(plan, conduct, progress)))
        if keep is not None:
            keep(report)
    return report
