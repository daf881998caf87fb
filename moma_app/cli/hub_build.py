"""``moma hub build`` and ``moma hub table``: a hub from its recipe, and how good its modules are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from moma_app.cli import options, running
from moma_app.cli.hub_living import megabytes
from moma_app.cli.output import number, print_json, progress_bar, quantity, say, table
from moma_app.errors import MomaError
from moma_app.plots.text import whole

if TYPE_CHECKING:
    from moma_app.hub import Hub
    from moma_app.hub.quality import Quality


def build(
    recipe: Annotated[str, typer.Argument(help="A hub's recipe: builtin, clean, or a TOML file.")],
    hub: options.HubPath = None,
    device: options.Device = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is missing; start nothing.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train all modules of a recipe that a hub lacks; given again, it goes on where it was stopped."""
    from moma_app.hub import Hub
    from moma_app.hub.places import writable_place
    from moma_app.runtime import pick_device
    from moma_app.work.build_hub import build as build_hub
    from moma_app.work.build_hub import missing
    from moma_app.work.hub_recipe import HubRecipe

    plan = HubRecipe.load(recipe)
    with running.open_jobs(engine, scheduler) as jobs:
        folder = writable_place(hub, jobs.settings.hub_folder)
        machine = pick_device(device or jobs.settings.device).type
        if dry_run:
            needed, there = missing(plan, Hub(folder), machine)
            names = [each.order.name for each in needed]
            if json:
                print_json({"recipe": plan.model_dump(mode="json"), "there": there, "missing": names})
                return
            say(f"{len(there)} of {len(there) + len(names)} modules are in {folder}.")
            if names:
                say(
                    f"Missing: {', '.join(names)}; {sum(len(each.runs) for each in needed)} fits on {machine}."
                )
            return
        folder.mkdir(parents=True, exist_ok=True)
        with progress_bar(quiet=quiet) as progress:
            built = build_hub(plan, folder, jobs, device=machine, listener=progress)
    _quality_table(Hub(folder), [*built.kept, *built.made], json=json, failed=built.failed)
    if built.failed:
        raise MomaError(f"{len(built.failed)} modules were not made: {', '.join(built.failed)}.")


def table_of_modules(
    modules: options.Modules = None,
    hub: options.HubPath = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table, for documents.")] = False,
    json: options.Json = False,
) -> None:
    """Show how good the modules are, beside the same network from scratch and published errors."""
    from moma_app.hub import Hub

    _quality_table(Hub.open(hub), modules, json=json, markdown=markdown)


def _quality_table(
    hub: Hub,
    names: list[str] | None,
    *,
    json: bool,
    markdown: bool = False,
    failed: dict[str, str] | None = None,
) -> None:
    from dataclasses import asdict

    from moma_app.hub.quality import SOURCE, quality_of

    cards = [module.card for module in hub.select(names)]
    found = sorted(quality_of(cards), key=lambda row: (row.kind != "full", row.accuracy is not None))
    if json:
        print_json({"modules": [asdict(row) for row in found], "failed": failed or {}, "published": SOURCE})
        return
    columns: list[tuple[str, Literal["left", "right"]]] = [
        ("module", "left"),
        ("train rows", "right"),
        ("test error", "right"),
        ("MAE/MAD", "right"),
        ("R²", "right"),
        ("scratch", "right"),
        ("CGCNN", "right"),
        ("time", "right"),
        ("size", "right"),
    ]
    rows = [
        (
            row.module,
            whole(row.rows_train),
            _error(row),
            number(row.mae_over_mad, 3),
            number(row.r2, 3),
            number(row.scratch_over_mad if row.mae is not None else row.scratch_accuracy, 3),
            row.published or "–",
            "–" if row.seconds is None else f"{row.seconds / 60:.0f} min",
            megabytes(row.size),
        )
        for row in found
    ]
    if markdown:
        say("| " + " | ".join(name for name, _ in columns) + " |")
        say("|" + "|".join("---:" if side == "right" else "---" for _, side in columns) + "|")
        for line in rows:
            say("| " + " | ".join(line) + " |")
    else:
        table(None, columns, rows)
    total = megabytes(sum(row.size for row in found))
    say(
        f"{len(found)} modules, {total}. scratch: MAE/MAD (accuracy) of the same network from random weights "
        f"on the same rows. CGCNN: MAE/MAD, {SOURCE}."
    )


def _error(row: Quality) -> str:
    if row.mae is not None:
        return quantity(row.mae, row.unit, 3)
    return (
        "–" if row.accuracy is None else f"accuracy {number(row.accuracy, 3)}, F1 {number(row.macro_f1, 3)}"
    )
