"""``moma finetune``: train a predictor for a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moma_app.cli import options
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the same fit from its last epoch.")
    ] = False,
    overwrite: options.Overwrite = False,
    hub: options.HubPath = None,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune the composed module (or another start) on a task and save the predictor."""
    import dataclasses

    from moma_app.backbones.registry import get_backbone
    from moma_app.config import get_settings
    from moma_app.errors import InputError
    from moma_app.hub import Hub
    from moma_app.tasks import get_task
    from moma_app.training.finetune import finetune as run
    from moma_app.training.recipe import load_recipe
    from moma_app.training.start import Start

    settings = get_settings()
    machine = options.use_machine(device)
    source = get_task(task)
    shots_part = f"-{shots}shots" if shots else ""
    folder = output or settings.home / "predictors" / f"{task}-{from_}-split{split}{shots_part}-seed{seed}"
    if folder.exists() and output is not None and not overwrite:
        raise InputError(f"{folder} exists already: choose another folder, or allow --overwrite.")
    chosen = load_recipe(recipe).with_fit(seed=seed, epochs=epochs, learning_rate=learning_rate)
    if max_atoms is not None:
        chosen = dataclasses.replace(chosen, max_atoms=max_atoms)
    result = None
    with progress_bar(quiet=quiet) as progress:
        if from_ == "composed":
            from moma_app.amc.compose import compose

            composition = compose(
                source,
                Hub.open(hub),
                split,
                shots=shots,
                seed=seed,
                k=k,
                temperature=temperature,
                modules=modules,
                kind=kind,
                graph_folder=settings.graph_folder,
                device=machine,
                progress=progress,
            )
            result = composition.result
            start = Start.composed(composition)
        elif from_ in ("backbone", "scratch"):
            start = Start.bare(get_backbone(backbone), scratch=from_ == "scratch")
        else:
            start = Start.module(Hub.open(hub)[from_])
        predictor, fit = run(
            source,
            start,
            chosen,
            split,
            shots=shots,
            checkpoints=settings.home / "checkpoints",
            graph_folder=settings.graph_folder,
            device=machine,
            resume=resume,
            progress=progress,
        )
        predictor.save(folder, overwrite=output is None or overwrite)
    if report is not None:
        from moma_app.plots.report import write_report

        write_report(report, title=f"Predictor for {source.name}", result=result, fits=[fit])
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
