"""``moma bench``: our engine against today's way, in one run, as ratios."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moma_app.cli import options
from moma_app.cli.output import err, json_text, print_json, progress_bar, say, table
from moma_app.errors import InputError

if TYPE_CHECKING:
    from moma_app.bench.cases import Case
    from moma_app.bench.everything import Extras
    from moma_app.bench.result import Report
    from moma_app.bench.scaling import Plan
    from moma_app.bench.sizes import Sizes
    from moma_app.bench.table import Table

STDOUT = Path("-")
INTERRUPTED = 130


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BENCHMARK]...",
            help="Which ones, see --list; 'growth' for time against size, 'scaling' and 'scheduler' for large hubs. "
            "By default all that take minutes.",
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show what can be measured, and stop.")] = False,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write the results to this file; '-' is standard output.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the growth curves to this SVG file.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Repeats of each side.")] = 3,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads of each side; by default one a core.")
    ] = None,
    flush_reference: Annotated[
        bool,
        typer.Option(
            "--flush-reference", help="Flush denormal numbers to zero on the package's side too, as we do."
        ),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where our time goes even where the bar is reached.")
    ] = False,
    task: Annotated[
        str | None, typer.Option("--task", help="Take the structures of this task instead of the usual ones.")
    ] = None,
    structures: Annotated[int | None, typer.Option("--structures", min=1, help="Number of crystals.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Crystals in one training step.")
    ] = None,
    rows: Annotated[int | None, typer.Option("--rows", min=2, help="Rows of embeddings.")] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Width of embeddings.")] = None,
    modules: Annotated[int | None, typer.Option("--modules", min=1, help="Number of modules.")] = None,
    parameters: Annotated[
        float | None, typer.Option("--parameters", min=1, help="Parameters of a module, such as 160e6.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Workers of 'scaling' and 'scheduler'.")
    ] = None,
    gpu_factor: Annotated[
        list[float] | None,
        typer.Option(
            "--gpu-factor",
            min=1,
            help="Assumed speed of a GPU in units of this CPU, for 'scaling'; may be repeated.",
        ),
    ] = None,
    price: Annotated[float, typer.Option("--price", min=0, help="Of one worker for an hour.")] = 0.0,
    bandwidth: Annotated[
        float,
        typer.Option("--bandwidth", min=0.001, help="Assumed GB/s of the storage that all workers share."),
    ] = 1.0,
    quiet: options.Quiet = False,
) -> None:
    """Compare our engine with the chgnet package and other usual ways: time, memory, and the same numbers."""
    from moma_app.bench.cases import CASES, EXTRAS, GROWTH, choose
    from moma_app.bench.everything import measure
    from moma_app.bench.machine import usable_cores
    from moma_app.bench.run import Conduct
    from moma_app.bench.scaling import FACTORS, plans_for
    from moma_app.bench.sizes import Sizes
    from moma_app.bench.table import catalogue
    from moma_app.config import get_settings

    if list_:
        _show(catalogue(CASES), markdown=markdown)
        for name, what in EXTRAS.items():
            say(f"{name}: {what}; on request")
        return
    wishes = Sizes(
        structures, batch_size, rows, width, modules, None if parameters is None else int(parameters), workers
    )
    cases = [_wished(case, wishes, task) for case in choose(names or [])]
    plans = plans_for(
        *(modules, rows, workers), factors=gpu_factor or FACTORS, price=price, bandwidth=1e9 * bandwidth
    )
    extras = _extras(names or [], wishes, task, plans)
    if figure is not None and GROWTH not in (names or []):
        raise InputError(f"A figure shows the growth curves: add '{GROWTH}' to the command.")
    conduct = Conduct(repeats, threads or get_settings().threads or usable_cores(), flush_reference, profile)
    try:
        with progress_bar(quiet=quiet) as progress:
            report = measure(cases, extras, conduct, progress, keep=_keeper(json))
    except KeyboardInterrupt:
        err.print("Stopped; the workers have ended.", highlight=False)
        sys.exit(INTERRUPTED)
    if figure is not None:
        from moma_app.files import atomic_write_text
        from moma_app.plots.growth import growth_svg

        atomic_write_text(figure, growth_svg(report.growth))
    if json == STDOUT:
        print_json(report.to_dict())
        return
    _show_report(report, markdown=markdown)


def _extras(names: list[str], wishes: Sizes, task: str | None, plans: list[Plan]) -> Extras:
    """Return what is asked for beside the comparisons."""
    from moma_app.bench.cases import GROWTH, SCALING, SCHEDULER
    from moma_app.bench.everything import Extras
    from moma_app.bench.growth import usual_plan
    from moma_app.bench.simulation import USUAL

    growth = usual_plan(task) if task else usual_plan()
    return Extras(
        growth=growth if GROWTH in names else (),
        futures=USUAL.overridden(wishes) if SCHEDULER in names else None,
        plans=plans if SCALING in names else (),
        task=task,
    )


def _wished(case: Case, wishes: Sizes, task: str | None) -> Case:
    own = case.task if case.task is None or task is None else task
    return replace(case, sizes=case.sizes.overridden(wishes), task=own)


def _keeper(path: Path | None) -> Callable[[Report], None] | None:
    """Return what writes the report to a file as it grows, so that nothing measured is lost."""
    from moma_app.files import atomic_write_text

    if path is None or path == STDOUT:
        return None
    return lambda report: atomic_write_text(path, json_text(report.to_dict()))


def _show_report(report: Report, *, markdown: bool) -> None:
    from moma_app.bench import scaling_table
    from moma_app.bench import table as tables

    if report.cases:
        _show(tables.comparison(report.cases), markdown=markdown)
    if report.growth:
        _show(tables.growth(report.growth), markdown=markdown)
    for result in report.cases:
        if result.profile:
            _show(tables.profile(result), markdown=markdown)
    for content in scaling_table.tables(report):
        _show(content, markdown=markdown)
    lines = [line for result in report.cases for line in tables.remarks(result)]
    lines += tables.growth_laws(report.growth)
    lines += scaling_table.lines(report)
    if report.flush_reference:
        lines.append("Denormal numbers are flushed to zero on the package's side too.")
    lines += [*report.left_out, *tables.machine_lines(report.machine)]
    if report.cases or report.growth:
        times = f"{report.repeats} repeats, in turns; the median counts, and the range is shown."
        lines.append(times if report.repeats > 1 else "1 repeat.")
    for line in lines:
        say(f"- {line}" if markdown else line)


def _show(content: Table, *, markdown: bool) -> None:
    from moma_app.bench.table import markdown as as_markdown

    if markdown:
        say(as_markdown(content) + "\n")
    else:
        table(content.title or None, content.columns, content.rows)
