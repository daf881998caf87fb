"""``moma finetune``: train a predictor for a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moma_app.cli import options, running
from moma_app.cli.compose import show_composition
from moma_app.cli.output import number, print_json, progress_bar, quantity, say

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport


def finetune(
    task: Annotated[str, typer.Argument(help="The small task: a name of the catalogue, or your own.")],
    from_: Annotated[
        str, typer.Option("--from", help="composed, backbone, scratch, or a module's name.")
    ] = "composed",
    split: options.SplitSeed = 0,
    shots: options.Shots = None,
    seed: options.Seed = 0,
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name or TOML file.")] = "finetune",
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Upper limit; by default the recipe's.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", help="Peak learning rate of the backbone.")
    ] = None,
    max_atoms: Annotated[
        int | None, typer.Option("--max-atoms", min=1, help="Leave larger training cells out.")
    ] = None,
    backbone: Annotated[str, typer.Option("--backbone", help="For --from backbone or scratch.")] = "chgnet",
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    modules: options.Modules = None,
    kind: options.Kind = "full",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the predictor.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write a one-page HTML report.")] = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    hub: options.HubPath = None,
    device: options.Device = None,
    devices: options.Devices = None,
    nodes: options.Nodes = 1,
    strategy: options.Strategy = "auto",
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    priority: options.Priority = 0,
    memory: options.Memory = None,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune the composed module (or another start) on a task and save the predictor."""
    import dataclasses

    from moma_app.amc.result import AMCResult
    from moma_app.tasks import get_task
    from moma_app.training.outcome import FitReport
    from moma_app.training.recipe import load_recipe
    from moma_app.work.composing import AMC
    from moma_app.work.finetune import finetune_spec

    running.refuse_taken(output, overwrite=overwrite)
    chosen = load_recipe(recipe).with_fit(seed=seed, epochs=epochs, learning_rate=learning_rate)
    if max_atoms is not None:
        chosen = dataclasses.replace(chosen, max_atoms=max_atoms)
    with running.open_jobs(engine, scheduler) as jobs:
        shots_part = f"-{shots}shots" if shots else ""
        usual = f"{task}-{from_}-split{split}{shots_part}-seed{seed}"
        folder = output or jobs.settings.home / "predictors" / usual
        machine = device or jobs.settings.device
        spec = finetune_spec(
            get_task(task),
            chosen,
            start=from_,
            split=split,
            shots=shots,
            amc=AMC(hub, modules, kind, None, k, temperature),
            backbone=backbone,
            device=machine,
            devices=running.processes(devices, nodes, strategy, machine),
            strategy=strategy,
            output=folder,
            overwrite=output is None or overwrite,
        )
        spec = running.ranked(spec, priority, memory)
        if detach:
            running.detach(jobs, spec, json=json, resume=resume)
            return
        with progress_bar(quiet=quiet) as progress:
            done = running.do(jobs, spec, progress, resume=resume)
    fit = FitReport.from_dict(done["fit"])
    result = None if done["composition"] is None else AMCResult.from_dict(done["composition"])
    if report is not None:
        from moma_app.plots.report import write_report

        write_report(report, title=f"Predictor for {task}", result=result, fits=[fit])
    if json:
        print_json(
            {
                **fit.to_dict(),
                "predictor": str(folder),
                "composition": None if result is None else result.to_dict(),
            }
        )
        return
    if result is not None:
        show_composition(result)
    show_fit(fit)
    say(f"Predictor: {folder}")
    say(f"Next: moma predict {folder} FILE.cif")


def show_fit(fit: FitReport) -> None:
    """Print a fit's test errors."""
    m = fit.metrics
    epochs = len(fit.curve.epoch) if fit.curve else 0
    if "mae" in m:
        error = f"test MAE {quantity(m['mae'], fit.unit)}, MAE/MAD {m['mae'] / m['mad']:.3f}, R² {number(m.get('r2'), 3)}"
    else:
        error = f"test accuracy {m['accuracy']:.3f}, macro F1 {m['macro_f1']:.3f}"
    say(
        f"{fit.label[0].upper()}{fit.label[1:]}: {error} on {m['n']:.0f} structures "
        f"({epochs} epochs, best {fit.best_epoch}, {fit.seconds:.0f} s)."
    )
