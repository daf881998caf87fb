"""``moma experiments``: ablation, few-shot and continual learning, as plans that go on where they stopped."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moma_app.cli import options, plans, running
from moma_app.cli.output import number, print_json, say, table

app = typer.Typer(
    help="Experiments: AMC beside other methods. A command that is given again goes on where it was stopped.",
    no_args_is_help=True,
)


@app.command()
def ablation(
    tasks: plans.Tasks,
    splits: plans.Splits = "0",
    seeds: plans.Seeds = "0",
    learner: plans.Learners = "instant",
    methods: plans.Methods = None,
    shots: options.Shots = None,
    option: plans.Settings = None,
    modules: options.Modules = None,
    kind: options.Kind = "full",
    backbone: Annotated[str | None, typer.Option("--backbone", help="Modules of this backbone.")] = None,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    hub: options.HubPath = None,
    csv: plans.Csv = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    dry_run: plans.DryRun = False,
    stop: plans.Stop = False,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare AMC with simpler choices of modules (Figure 4 of the paper)."""
    from moma_app.experiments import standing
    from moma_app.experiments.ablation import Ablation, summarise

    chosen = {} if methods is None else {"methods": plans.names(methods)}
    plan = Ablation.make(
        **plans.shared(tasks, splits, seeds, learner, option),
        shots=shots,
        modules=modules,
        kind=kind,
        backbone=backbone,
        k=k,
        temperature=temperature,
        hub=hub,
        **chosen,
    )
    with running.open_jobs(engine, scheduler) as jobs:
        if not plans.carry_out(jobs, plan, dry_run=dry_run, stop=stop, detach=detach, json=json, quiet=quiet):
            return
        rows = standing.table(plan, jobs)
    summary = summarise(rows)
    plans.write_csv(csv, rows, quiet=json)
    if json:
        print_json({"plan": plan.to_dict(), "rows": rows, "summary": [vars(each) for each in summary]})
        return
    table(
        None,
        [
            ("task", "left"),
            ("learner", "left"),
            ("method", "left"),
            ("test MAE", "right"),
            ("n", "right"),
            ("to AMC", "right"),
            ("unit", "left"),
        ],
        [
            (
                row["task"],
                row["learner"],
                row["method"],
                plans.with_spread(row["mae"], row["mae_std"]),
                row["n"],
                plans.signed(row["difference"], row["difference_std"]) if row["method"] != "amc" else "",
                row["unit"],
            )
            for row in rows
        ],
    )
    for each in summary:
        say(
            f"{each.learner}, {each.method}: {each.difference:+.1f}% test MAE against AMC on average, "
            f"worse on {each.worse_in} of {each.tasks} tasks."
        )


@app.command("few-shot")
def few_shot(
    tasks: plans.Tasks,
    shots: Annotated[
        str, typer.Option("--shots", metavar="NUMBERS", help="Numbers of training rows; full is all of them.")
    ] = "10,100,full",
    splits: plans.Splits = "0",
    seeds: plans.Seeds = "0",
    learner: plans.Learners = "instant",
    methods: plans.Methods = None,
    option: plans.Settings = None,
    modules: options.Modules = None,
    kind: options.Kind = "full",
    backbone: Annotated[str | None, typer.Option("--backbone", help="Modules of this backbone.")] = None,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    hub: options.HubPath = None,
    csv: plans.Csv = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    dry_run: plans.DryRun = False,
    stop: plans.Stop = False,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the error against the number of training rows (Figure 5 of the paper)."""
    from moma_app.experiments import standing
    from moma_app.experiments.few_shot import FewShot

    chosen = {} if methods is None else {"methods": plans.names(methods)}
    plan = FewShot.make(
        **plans.shared(tasks, splits, seeds, learner, option),
        shots=[None if n == "full" else plans.number_of(n) for n in plans.names(shots)],
        modules=modules,
        kind=kind,
        backbone=backbone,
        k=k,
        temperature=temperature,
        hub=hub,
        **chosen,
    )
    with running.open_jobs(engine, scheduler) as jobs:
        if not plans.carry_out(jobs, plan, dry_run=dry_run, stop=stop, detach=detach, json=json, quiet=quiet):
            return
        rows = standing.table(plan, jobs)
    plans.write_csv(csv, rows, quiet=json)
    if json:
        print_json({"plan": plan.to_dict(), "rows": rows})
        return
    table(
        None,
        [
            ("task", "left"),
            ("learner", "left"),
            ("method", "left"),
            ("training rows", "right"),
            ("test MAE", "right"),
            ("n", "right"),
            ("unit", "left"),
        ],
        [
            (
                row["task"],
                row["learner"],
                row["method"],
                number(row["train_rows"]) + ("" if row["shots"] else " (all)"),
                plans.with_spread(row["mae"], row["mae_std"]),
                row["n"],
                row["unit"],
            )
            for row in rows
        ],
    )


@app.command()
def continual(
    tasks: plans.Tasks,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="MODULES", help="Modules before the hub grew, with commas."),
    ] = None,
    before_module: Annotated[
        str | None,
        typer.Option(
            "--before-module", metavar="MODULE", help="Instead: all modules that are older than this."
        ),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="MODULES", help="Modules afterwards; by default all.")
    ] = None,
    splits: plans.Splits = "0",
    seeds: plans.Seeds = "0",
    learner: plans.Learners = "instant",
    proxy: Annotated[
        str, typer.Option("--proxy", help="Proxy error: objective (mean squared) or mae of the kNN estimate.")
    ] = "objective",
    option: plans.Settings = None,
    kind: options.Kind = "full",
    backbone: Annotated[str | None, typer.Option("--backbone", help="Modules of this backbone.")] = None,
    k: options.K = 5,
    temperature: options.Temperature = 0.2,
    hub: options.HubPath = None,
    csv: plans.Csv = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    dry_run: plans.DryRun = False,
    stop: plans.Stop = False,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Does a hub that grows predict better? (Figure 6 of the paper)."""
    from moma_app.experiments import standing
    from moma_app.experiments.continual import Continual, modules_before, task_means, trend

    if (before is None) == (before_module is None):
        raise typer.BadParameter("Give either --before or --before-module.")
    plan = Continual.make(
        **plans.shared(tasks, splits, seeds, learner, option),
        before=plans.names(before) if before is not None else modules_before(hub, str(before_module)),
        after=None if after is None else plans.names(after),
        proxy=proxy,
        kind=kind,
        backbone=backbone,
        k=k,
        temperature=temperature,
        hub=hub,
    )
    with running.open_jobs(engine, scheduler) as jobs:
        if not plans.carry_out(jobs, plan, dry_run=dry_run, stop=stop, detach=detach, json=json, quiet=quiet):
            return
        rows = standing.table(plan, jobs)
    points = task_means(rows)
    line = trend(points)
    plans.write_csv(csv, rows, quiet=json)
    if json:
        fit = None if line is None else vars(line)
        print_json({"plan": plan.to_dict(), "rows": rows, "points": points, "fit": fit})
        return
    _show_continual(points, line)


def _show_continual(points: list[dict[str, Any]], line: Any) -> None:
    table(
        "Decrease by the added modules",
        [
            ("task", "left"),
            ("learner", "left"),
            ("proxy error", "right"),
            ("test MAE", "right"),
            ("n", "right"),
        ],
        [
            (
                row["task"],
                row["learner"],
                plans.signed(row["proxy_decrease"], row["proxy_decrease_std"]),
                plans.signed(row["mae_decrease"], row["mae_decrease_std"]),
                row["n"],
            )
            for row in points
        ],
    )
    if line is None:
        say("Fewer than three tasks that differ: no line is fitted.")
        return
    interval = "" if line.low is None else f", 95% interval {line.low:.2f} to {line.high:.2f}"
    say(
        f"Test-MAE decrease = {line.slope:.2f} · proxy decrease {line.intercept:+.2f}; Pearson r = {line.r:.2f}{interval} "
        f"({line.n} points, p = {line.p:.2g})."
    )


@app.command()
def recipe(
    study: Annotated[
        str, typer.Argument(help="A study's name (modules, finetune) or a TOML file that describes one.")
    ],
    csv: plans.Csv = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table, for documents.")] = False,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    dry_run: plans.DryRun = False,
    stop: plans.Stop = False,
    detach: options.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare recipes of training by their validation errors, one change at a time."""
    from moma_app.experiments import standing
    from moma_app.experiments.recipe_study import RecipeStudy, markdown_lines, ranking

    plan = RecipeStudy.load(study)
    with running.open_jobs(engine, scheduler) as jobs:
        if not plans.carry_out(jobs, plan, dry_run=dry_run, stop=stop, detach=detach, json=json, quiet=quiet):
            return
        rows = standing.table(plan, jobs)
    plans.write_csv(csv, rows, quiet=json)
    if json:
        print_json({"plan": plan.to_dict(), "rows": rows, "ranking": ranking(rows)})
        return
    if markdown:
        for line in markdown_lines(rows):
            say(line)
        return
    table(
        f"Validation errors, recipe {plan.recipe} from {plan.method}",
        [
            ("task", "left"),
            ("variant", "left"),
            ("validation MAE", "right"),
            ("n", "right"),
            ("to base", "right"),
            ("time", "right"),
            ("unit", "left"),
        ],
        [
            (
                row["task"],
                row["variant"],
                plans.with_spread(row["val_error"], row["val_error_std"]),
                row["n"],
                plans.signed(row["difference"], row["difference_std"]) if row["variant"] != "base" else "",
                f"{row['seconds']:.0f} s",
                row["unit"],
            )
            for row in rows
        ],
    )
    for each in ranking(rows):
        say(f"{each['difference']:+6.1f}% over {each['tasks']} tasks: {each['variant']}")


@app.command("table")
def table_(
    tasks: Annotated[str, typer.Option("--tasks", metavar="NAMES", help="Only these, with commas.")] = "",
    learner: Annotated[str, typer.Option("--learner", metavar="NAMES", help="Only these, with commas.")] = "",
    csv: plans.Csv = None,
    json: options.Json = False,
) -> None:
    """List every finished cell of any experiment with its numbers."""
    from moma_app.experiments.results import all_rows

    with running.open_jobs(None, None) as jobs:
        rows = all_rows(jobs, tasks=plans.names(tasks), learners=plans.names(learner))
    plans.write_csv(csv, rows, quiet=json)
    if json:
        print_json(rows)
        return
    if not rows:
        say("No cell of an experiment has finished yet.")
        return
    table(
        None,
        [
            ("task", "left"),
            ("learner", "left"),
            ("method", "left"),
            ("split", "right"),
            ("shots", "right"),
            ("test MAE", "right"),
            ("objective", "right"),
            ("time", "right"),
            ("run", "left"),
        ],
        [
            (
                row["task"],
                row["learner"],
                row["method"],
                row["split"],
                row["shots"] or "full",
                number(row.get("mae")),
                number(row.get("objective")),
                f"{row['seconds']:.0f} s",
                row["run"][: running.SHORT],
            )
            for row in rows
        ],
    )
