"""``moma demo``: the main job on the embedded task, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moma_app.cli import options
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
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compose the built-in modules for 71 elemental crystals, fine-tune, compare with the bare backbone."""
    from moma_app.amc.compose import compose
    from moma_app.backbones.registry import get_backbone
    from moma_app.config import get_settings
    from moma_app.hub import Hub
    from moma_app.plots.report import write_report
    from moma_app.tasks import get_task
    from moma_app.training.finetune import finetune
    from moma_app.training.recipe import load_recipe
    from moma_app.training.start import Start

    settings = get_settings()
    machine = options.use_machine(device)
    task = get_task(TASK)
    recipe = load_recipe("finetune").with_fit(seed=seed)
    fits: list[FitReport] = []
    with progress_bar(quiet=quiet) as progress:
        composition = compose(
            task,
            Hub.open("builtin"),
            split,
            seed=seed,
            graph_folder=settings.graph_folder,
            device=machine,
            progress=progress,
        )
        starts = (Start.composed(composition), Start.bare(get_backbone(composition.result.backbone)))
        for start in starts:
            predictor, fit = finetune(
                task,
                start,
                recipe,
                split,
                checkpoints=settings.home / "checkpoints",
                graph_folder=settings.graph_folder,
                device=machine,
                progress=progress,
            )
            predictor.save(output / f"{TASK}-{start.name}", overwrite=True)
            fits.append(fit)
    report = output / "report.html"
    write_report(
        report,
        title="Bulk moduli of the elements",
        result=composition.result,
        fits=fits,
        notes=[f"{fits[0].metrics['n']:.0f} test crystals show every step, but are too few to rank methods."],
    )
    if json:
        print_json({"composition": composition.result.to_dict(), "fits": [fit.to_dict() for fit in fits]})
        return
    show_composition(composition.result)
    for fit in fits:
        show_fit(fit)
    composed, bare = (fit.metrics["mae"] for fit in fits)
    say(f"Composed against bare backbone: {(composed / bare - 1):+.1%} test MAE on this split.")
    say(f"Report: {report}")
    say(f"Next: moma predict {output / f'{TASK}-composed'} FILE.cif")
