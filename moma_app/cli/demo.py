"""``moma demo``: the main job on the embedded task, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moma_app.cli import options, running
from moma_app.cli.compose import show_composition
from moma_app.cli.finetune import show_fit
from moma_app.cli.output import print_json, progress_bar, say

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport

TASK = "elemental_bulk_modulus"


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for predictors and report.")] = Path(
        "moma-output/demo"
    ),
    split: options.SplitSeed = 0,
    seed: options.Seed = 0,
    device: options.Device = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compose the built-in modules for 71 elemental crystals, fine-tune, compare with the bare backbone."""
    from moma_app.amc.result import AMCResult
    from moma_app.plots.report import write_report
    from moma_app.tasks import get_task
    from moma_app.training.outcome import FitReport
    from moma_app.training.recipe import load_recipe
    from moma_app.work.composing import AMC
    from moma_app.work.finetune import finetune_spec

    recipe = load_recipe("finetune").with_fit(seed=seed)
    fits: list[FitReport] = []
    result: AMCResult | None = None
    with running.open_jobs(engine, scheduler) as jobs, progress_bar(quiet=quiet) as progress:
        for start in ("composed", "backbone"):
            spec = finetune_spec(
                get_task(TASK),
                recipe,
                start=start,
                split=split,
                amc=AMC("builtin"),
                device=device or jobs.settings.device,
                output=output / f"{TASK}-{start}",
                overwrite=True,
            )
            done = running.do(jobs, spec, progress)
            fits.append(FitReport.from_dict(done["fit"]))
            result = result or AMCResult.from_dict(done["composition"])
    assert result is not None
    report = output / "report.html"
    write_report(
        report,
        title="Bulk moduli of the elements",
        result=result,
        fits=fits,
        notes=[f"{fits[0].metrics['n']:.0f} test crystals show every step, but are too few to rank methods."],
    )
    if json:
        print_json({"composition": result.to_dict(), "fits": [fit.to_dict() for fit in fits]})
        return
    show_composition(result)
    for fit in fits:
        show_fit(fit)
    composed, bare = (fit.metrics["mae"] for fit in fits)
    say(f"Composed against bare backbone: {(composed / bare - 1):+.1%} test MAE on this split.")
    say(f"Report: {report}")
    say(f"Next: moma predict {output / f'{TASK}-composed'} FILE.cif")
