"""``moma compose``: AMC on a task, and an instant predictor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moma_app.cli import options, running
from moma_app.cli.output import number, print_json, progress_bar, quantity, say, table

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.training.outcome import FitReport


def compose(
    task: Annotated[str, typer.Argument(help="The small task: a name of the catalogue, or your own.")],
    split: options.SplitSeed = 0,
    shots: options.Shots = None,
    seed: options.Seed = 0,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    modules: options.Modules = None,
    kind: options.Kind = "full",
    backbone: Annotated[str | None, typer.Option("--backbone", help="Modules of this backbone.")] = None,
    instant: Annotated[
        bool,
        typer.Option(
            "--instant", help="Fit a Gaussian process on the composed module's features and test it."
        ),
    ] = False,
    mix: Annotated[
        bool,
        typer.Option(
            "--mix",
            help="With --instant: leave the modules that carry weight as they are, and use the features of all of them, "
            "gated by the weights (a mixture of experts).",
        ),
    ] = False,
    bare: Annotated[
        bool, typer.Option("--bare", help="With --instant: use the bare backbone, without modules.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the instant predictor.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write the figures to an HTML file.")] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the full result as JSON.")] = None,
    overwrite: options.Overwrite = False,
    hub: options.HubPath = None,
    device: options.Device = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    priority: options.Priority = 0,
    memory: options.Memory = None,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the weights of the hub's modules for a task (adaptive module composition)."""
    from moma_app.amc.result import AMCResult
    from moma_app.tasks import get_task
    from moma_app.training.outcome import FitReport
    from moma_app.work.compose import compose_spec
    from moma_app.work.composing import AMC

    if output is not None and not instant:
        raise typer.BadParameter("--output is for the predictor that --instant makes.")
    if mix and (bare or not instant):
        raise typer.BadParameter("--mix is for the predictor that --instant makes, and not with --bare.")
    running.refuse_taken(output, overwrite=overwrite)
    with running.open_jobs(engine, scheduler) as jobs:
        spec = compose_spec(
            get_task(task),
            amc=AMC(hub, modules, kind, backbone, k, temperature),
            split=split,
            shots=shots,
            seed=seed,
            instant=instant,
            mix=mix,
            bare=bare,
            device=device or jobs.settings.device,
            output=output,
            overwrite=overwrite,
        )
        spec = running.ranked(spec, priority, memory)
        if detach:
            running.detach(jobs, spec, json=json)
            return
        with progress_bar(quiet=quiet) as progress:
            done = running.do(jobs, spec, progress)
    result = None if done["composition"] is None else AMCResult.from_dict(done["composition"])
    report = None if done["fit"] is None else FitReport.from_dict(done["fit"])
    _write(save, plot, result, report)
    if json:
        payload = {} if result is None else result.to_dict()
        print_json({**payload, "instant": None if report is None else report.to_dict()})
        return
    if result is not None:
        show_composition(result)
    if report is not None:
        show_instant(report)
    elif result is not None and not result.mergeable:
        say(
            "These modules do not share an initialisation: their parameters cannot be averaged. Next: the same command with "
            "--instant --mix makes a predictor from a mixture of them."
        )
    for what, path in (("Predictor", output), ("Result", save), ("Figures", plot)):
        if path is not None:
            say(f"{what}: {path}")


def _write(save: Path | None, plot: Path | None, result: AMCResult | None, report: FitReport | None) -> None:
    from moma_app.files import atomic_write_text

    if save is not None and result is not None:
        atomic_write_text(save, result.to_json())
    if plot is not None:
        from moma_app.plots.report import write_report

        name = report.task if report else result.task if result else ""
        write_report(plot, title=f"Composition for {name}", result=result, fits=[report] if report else [])


def show_composition(result: AMCResult) -> None:
    """Print the proxy errors and weights."""
    unit = f" ({result.unit})" if result.unit else ""
    m = len(result.train_ids)
    table(
        f"{result.task}: {result.property}{unit}, {m} training structures, split {result.split} ({result.split_origin})",
        [
            ("module", "left"),
            (f"proxy MAE{unit}", "right"),
            ("in std", "right"),
            ("weight", "right"),
            ("trained on", "left"),
        ],
        [
            (s.module, number(s.proxy_mae), f"{s.proxy_mae_standardised:.3f}", f"{s.weight:.3f}", s.property)
            for s in sorted(result.modules, key=lambda s: (-s.weight, s.proxy_mae))
        ],
    )
    best = result.best_single
    say(
        f"Weighted kNN estimate: RMSE {result.objective**0.5:.3f} std; best single module {best.module} "
        f"{best.proxy_mse_standardised**0.5:.3f} std. K = {result.k}, T = {result.temperature:g}."
    )


def show_instant(report: FitReport) -> None:
    """Print the instant predictor's test errors."""
    m = report.metrics
    say(
        f"Instant predictor ({report.label.removeprefix('instant, ')}, {report.config['noise']} noise): test MAE "
        f"{quantity(m['mae'], report.unit)}, MAE/MAD {m['mae'] / m['mad']:.3f}, {m['n']:.0f} structures; "
        f"90% intervals cover {m['coverage90']:.0%}; {report.seconds:.0f} s."
    )
