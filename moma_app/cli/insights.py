"""``moma insights``: which modules matter to which tasks, over splits; beside the published weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moma_app.cli import options, plans, running
from moma_app.cli.output import number, print_json, progress_bar, say, table
from moma_app.errors import InputError

if TYPE_CHECKING:
    from moma_app.experiments.insights import Insights
    from moma_app.experiments.matrix import InsightMatrix

app = typer.Typer(
    help="Insights: weights of a hub's modules for all tasks and splits (Figure 7 of the paper).",
    no_args_is_help=True,
)
Tasks = Annotated[
    str,
    typer.Option(
        "--tasks", metavar="NAMES", help="With commas; by default all downstream tasks that are here."
    ),
]
Splits = Annotated[str, typer.Option("--splits", metavar="SEEDS", help="Such as 0, 0,2 or 0-4.")]
Backbone = Annotated[str | None, typer.Option("--backbone", help="Modules of this backbone.")]


def _plan(tasks: str, splits: str, modules: list[str] | None, hub: str | None, **settings: Any) -> Insights:
    from moma_app.experiments.insights import Insights

    return Insights.make(
        tasks=plans.task_names(tasks), splits=plans.numbers(splits), modules=modules, hub=hub, **settings
    )


@app.command()
def show(
    tasks: Tasks = "all",
    splits: Splits = "0-4",
    modules: options.Modules = None,
    kind: options.Kind = "full",
    backbone: Backbone = None,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    hub: options.HubPath = None,
    csv: plans.Csv = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", metavar="FILE", help="Also draw the heat map, by family: .svg or .png."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show the weights that finished compositions gave: mean over splits, spread, how often selected."""
    if figure is not None and figure.suffix.lower() not in {".svg", ".png"}:
        raise InputError(f"{figure}: the heat map is drawn as .svg or .png.")
    plan = _plan(tasks, splits, modules, hub, kind=kind, backbone=backbone, k=k, temperature=temperature)
    with running.open_jobs(None, None) as jobs:
        matrix = plan.matrix(jobs)
    rows = matrix.rows()
    if figure is not None:
        _draw(matrix, plan, figure, quiet=json)
    plans.write_csv(csv, rows, quiet=json)
    total = len(plan.tasks) * len(plan.splits)
    if json:
        print_json({"plan": plan.to_dict(), "compositions": matrix.present, "of": total, "rows": rows})
        return
    _show_matrix(matrix)
    say(f"{matrix.present} of {total} compositions (tasks × splits) are here.")
    if matrix.present < total:
        say("Next: moma insights fill, with the same options, does the others.")


def _draw(matrix: InsightMatrix, plan: Insights, path: Path, *, quiet: bool) -> None:
    """Write the heat map of the mean weights."""
    from moma_app.experiments.words import words_of
    from moma_app.files import atomic_path
    from moma_app.hub import Hub
    from moma_app.plots.heatmap_export import to_png, to_svg
    from moma_app.plots.insight_maps import maps_of

    if not matrix.present:
        raise InputError("There is no composition to draw yet: moma insights fill does them.")
    cards = {card.name: card for card in Hub.open(plan.hub).cards()}
    words = words_of(matrix.tasks, {name: cards[name] for name in matrix.modules if name in cards})
    shown = maps_of(matrix, words)["weights"]
    drawn = (
        to_png(shown, order="family")
        if path.suffix.lower() == ".png"
        else to_svg(shown, order="family").encode("utf-8")
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(drawn)
    if not quiet:
        say(f"Figure: {path}")


def _show_matrix(matrix: InsightMatrix) -> None:
    rows = sorted(matrix.rows(), key=lambda row: (row["task"], row["rank"], row["module"]))
    table(
        None,
        [
            ("task", "left"),
            ("module", "left"),
            ("weight", "right"),
            ("selected", "right"),
            ("splits", "right"),
            ("proxy MAE", "right"),
            ("unit", "left"),
        ],
        [
            (
                row["task"],
                row["module"],
                plans.with_spread(row["weight"], row["weight_std"]),
                f"{row['selected']:.0%}",
                row["splits"],
                number(row["proxy_mae"]),
                row["unit"],
            )
            for row in rows
            if row["weight"]
        ],
    )


@app.command()
def fill(
    tasks: Tasks = "all",
    splits: Splits = "0-4",
    modules: options.Modules = None,
    kind: options.Kind = "full",
    backbone: Backbone = None,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    hub: options.HubPath = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    dry_run: plans.DryRun = False,
    stop: plans.Stop = False,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Do the compositions that no run has made yet."""
    plan = _plan(tasks, splits, modules, hub, kind=kind, backbone=backbone, k=k, temperature=temperature)
    with running.open_jobs(engine, scheduler) as jobs:
        if not plans.carry_out(jobs, plan, dry_run=dry_run, stop=stop, detach=detach, json=json, quiet=quiet):
            return
        matrix = plan.matrix(jobs)
    if json:
        print_json({"plan": plan.to_dict(), "compositions": matrix.present, "rows": matrix.rows()})
        return
    _show_matrix(matrix)


@app.command()
def save(
    file: Annotated[Path, typer.Argument(help="The CSV file to write; one that exists is replaced.")],
    tasks: Tasks = "all",
    splits: Splits = "0-4",
    modules: options.Modules = None,
    kind: options.Kind = "full",
    backbone: Backbone = None,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    hub: options.HubPath = None,
    json: options.Json = False,
) -> None:
    """Write finished compositions, split by split, to a file that notebooks and other machines can read."""
    from moma_app.experiments.kept import save_insights

    plan = _plan(tasks, splits, modules, hub, kind=kind, backbone=backbone, k=k, temperature=temperature)
    with running.open_jobs(None, None) as jobs:
        matrix = plan.matrix(jobs)
    count = save_insights(matrix, file)
    total = len(plan.tasks) * len(plan.splits)
    if json:
        print_json({"plan": plan.to_dict(), "file": str(file), "compositions": count, "of": total})
        return
    say(f"{count} of {total} compositions (tasks × splits): {file}")


@app.command("fetch-published")
def fetch_published(
    url: Annotated[
        str | None, typer.Option("--url", help="Folder of the authors' files; by default their repository.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Data folder to write to; by default the cache.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is there.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Download the AMC weights that the paper's authors published (CC BY-NC 4.0)."""
    from moma_app.experiments.fetch_published import URL
    from moma_app.experiments.fetch_published import fetch_published as fetch

    with progress_bar(quiet=quiet) as progress:
        path = fetch(folder, url=url or URL, force=force, progress=progress)
    if json:
        print_json({"path": str(path)})
        return
    say(f"Published weights: {path}")
    say("They are by B. Wang et al. (arXiv 2502.15483), licence CC BY-NC 4.0: not for commercial use.")


@app.command("compare-published")
def compare_published(
    tasks: Tasks = "all",
    splits: Splits = "0-4",
    modules: options.Modules = None,
    kind: options.Kind = "full",
    backbone: Backbone = None,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    hub: options.HubPath = None,
    json: options.Json = False,
) -> None:
    """Compare the order of our weights with that of the published ones."""
    from moma_app.experiments.agreement import agreement
    from moma_app.experiments.published import published_weights

    published = published_weights()
    plan = _plan(tasks, splits, modules, hub, kind=kind, backbone=backbone, k=k, temperature=temperature)
    with running.open_jobs(None, None) as jobs:
        found = agreement(plan.matrix(jobs), published)
    if json:
        print_json({"plan": plan.to_dict(), "published": str(published.path), **found.to_dict()})
        return
    table(
        f"{len(found.modules)} modules on the same tasks as published ones: {', '.join(found.modules) or 'none'}",
        [
            ("task", "left"),
            ("Spearman", "right"),
            ("Kendall", "right"),
            ("ours", "left"),
            ("published", "left"),
        ],
        [
            (
                each.task,
                "–" if each.ranks is None else f"{each.ranks.spearman:+.2f}",
                "–" if each.ranks is None else f"{each.ranks.kendall:+.2f}",
                each.best_of_ours,
                each.best_of_published,
            )
            for each in found.tasks
        ],
    )
    if found.overall is None:
        say("Too few pairs of task and module, or constant weights: no correlation over all of them.")
        return
    each = found.overall
    say(
        f"All {each.n} pairs: Spearman {each.spearman:+.2f} (p = {each.spearman_p:.2g}), Kendall {each.kendall:+.2f} "
        f"(p = {each.kendall_p:.2g})."
    )
