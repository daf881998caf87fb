"""``moma hub``: list, show, train, predict, add, remove, verify, export, import, pull, push; others stand beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from moma_app.cli import hub_build, hub_living, options, running
from moma_app.cli.hub_living import megabytes, quality, show_superseded
from moma_app.cli.output import number, print_json, progress_bar, say, table, warn
from moma_app.errors import DamagedFileError, InputError
from moma_app.plots.text import whole

if TYPE_CHECKING:
    from moma_app.hub import Hub
    from moma_app.hub.manifest import Manifest

app = typer.Typer(help="Modules: what the hub has, train more, share them.", no_args_is_help=True)
app.command()(hub_build.build)
app.command("table")(hub_build.table_of_modules)
app.command()(hub_living.diff)
app.command()(hub_living.release)
app.command()(hub_living.shrink)
Name = Annotated[str, typer.Argument(help="Name of the module.")]
Which = Annotated[
    str,
    typer.Argument(
        help="Name of the module; NAME@VERSION or the beginning of a SHA-256 for one that a result names."
    ),
]
Names = Annotated[list[str] | None, typer.Argument(help="Names of modules; all by default.")]


def _open(where: str | None) -> Hub:
    from moma_app.hub import Hub

    return Hub.open(where)


@app.command("list")
def list_modules(hub: options.HubPath = None, json: options.Json = False) -> None:
    """List the modules of the hub."""
    from moma_app.hub.card import summary_of
    from moma_app.hub.places import named_hubs

    opened = _open(hub)
    usable, damaged = opened.check(files=False)
    for damage in damaged:
        warn(damage.reason)
    cards = [module.card for module in usable]
    if json:
        print_json([summary_of(card) for card in cards])
        return
    for folder, manifest in _manifests(opened):
        summary = f" {manifest.summary}" if manifest.summary else ""
        say(f"{manifest.name} {manifest.version} ({folder}).{summary}")
    table(
        None,
        [
            ("module", "left"),
            ("version", "left"),
            ("kind", "left"),
            ("backbone", "left"),
            ("train rows", "right"),
            ("test MAE", "right"),
            ("MAE/MAD", "right"),
            ("property", "left"),
        ],
        [
            (
                c.name,
                c.version,
                c.kind,
                c.backbone,
                whole(c.data.rows_train),
                quality(c),
                number(c.metrics.mae_over_mad, 3),
                c.target.property,
            )
            for c in cards
        ],
    )
    others = [] if hub is not None else list(named_hubs())
    if others:
        say(f"Other hubs here: {', '.join(others)} (--hub NAME).")


def _manifests(hub: Hub) -> list[tuple[Path, Manifest]]:
    """Return the hub's manifests; one that is damaged hides no module."""
    try:
        return list(hub.manifests().items())
    except DamagedFileError as exc:
        warn(str(exc))
        return []


@app.command()
def show(name: Which, hub: options.HubPath = None, json: options.Json = False) -> None:
    """Show a module's card, or what is known of one that was superseded."""
    from moma_app.hub import Card
    from moma_app.hub.quality import quality_among
    from moma_app.plots.quality_text import compared

    opened = _open(hub)
    card = opened.find(name)
    if json:
        print_json(card.model_dump(mode="json", exclude_none=not isinstance(card, Card)))
        return
    if not isinstance(card, Card):
        show_superseded(card, opened)
        return
    data, metrics, hardware = card.data, card.metrics, card.hardware
    facts = {
        "module": f"{card.name} {card.version} ({card.kind})",
        "predicts": f"{card.target.property} ({card.target.unit})",
        "backbone": f"{card.backbone} {card.fingerprint or 'from an initialisation of its own'}, layers {card.layers}",
        "trained on": ("rows" if data.rows_train is None else f"{data.rows_train:,} rows")
        + f" of {card.target.task}"
        + (f", cells up to {data.max_atoms} atoms" if data.max_atoms else "")
        + f" ({data.source})",
        "error": f"{quality(card)} on {whole(data.rows_test)} test rows; MAE/MAD {number(metrics.mae_over_mad, 3)}, "
        f"R² {number(metrics.test_r2, 3)}"
        if metrics.test_mae is not None or metrics.test_accuracy is not None
        else quality(card),
        **{key.lower(): text for key, text in compared(quality_among(card, opened.cards())).items()},
        **({"left out": data.left_out} if data.left_out else {}),
        "recipe": str(card.recipe.get("name", "?"))
        + (f", {len(card.curve)} epochs, seed {card.seed}" if card.curve else ""),
        "licence": card.licence,
        "citation": card.citation,
        "file": f"{card.file}, {megabytes(card.size)} in {card.storage}, SHA-256 {card.sha256[:16]}…",
        "made": f"{card.created} with {card.made_with}",
    }
    if hardware:
        memory = f", peak memory {hardware.peak_memory_mb:,.0f} MB" if hardware.peak_memory_mb else ""
        facts["training"] = (
            f"{hardware.trainable_parameters:,} of {hardware.total_parameters:,} parameters trainable, "
            f"{hardware.seconds:,.0f} s on {hardware.device}{memory}"
        )
    if card.note:
        facts["note"] = card.note
    for key, value in facts.items():
        say(f"{key:12} {value}")


@app.command()
def train(
    task: Annotated[str, typer.Argument(help="Task to train a module for.")],
    kind: Annotated[
        Literal["full", "adapter"], typer.Option("--kind", help="All weights, or adapters.")
    ] = "full",
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name or TOML file.")] = "hub-cpu",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the module; by default the task's.")
    ] = None,
    backbone: Annotated[
        str, typer.Option("--backbone", help="Pre-trained backbone to start from.")
    ] = "chgnet",
    split: options.SplitSeed = 0,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed; by default the recipe's.")] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Upper limit; by default the recipe's.")
    ] = None,
    max_atoms: Annotated[
        int | None, typer.Option("--max-atoms", min=1, help="Leave larger training cells out.")
    ] = None,
    resume: options.Resume = False,
    hub: options.HubPath = None,
    overwrite: options.Overwrite = False,
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
    """Train a module for a task and add it to the hub."""
    import dataclasses

    from moma_app.hub import Card, Hub
    from moma_app.hub.card import module_name, summary_of
    from moma_app.hub.places import writable_place
    from moma_app.tasks import get_task
    from moma_app.training.recipe import load_recipe
    from moma_app.work.train import train_spec

    chosen = load_recipe(recipe).with_fit(seed=seed, epochs=epochs)
    if max_atoms is not None:
        chosen = dataclasses.replace(chosen, max_atoms=max_atoms)
    name = name or module_name(task, kind)
    with running.open_jobs(engine, scheduler) as jobs:
        destination = writable_place(None if hub == "builtin" else hub, jobs.settings.hub_folder)
        if name in Hub(destination) and not overwrite:
            raise InputError(
                f"The hub {destination} already has a module {name!r}: give --name or --overwrite."
            )
        machine = device or jobs.settings.device
        spec = train_spec(
            get_task(task),
            chosen,
            name=name,
            kind=kind,
            backbone=backbone,
            split=split,
            device=machine,
            devices=running.processes(devices, nodes, strategy, machine),
            strategy=strategy,
            hub=destination,
            overwrite=overwrite,
        )
        spec = running.ranked(spec, priority, memory)
        if detach:
            running.detach(jobs, spec, json=json, resume=resume)
            return
        with progress_bar(quiet=quiet) as progress:
            done = running.do(jobs, spec, progress, resume=resume)
    card = Card.model_validate(done["card"])
    if json:
        print_json(summary_of(card))
        return
    say(
        f"Module {card.name} {card.version}: test error {quality(card)}, "
        f"MAE/MAD {number(card.metrics.mae_over_mad, 3)}; added to {destination}."
    )


@app.command()
def predict(
    files: options.Files,
    modules: options.Modules = None,
    hub: options.HubPath = None,
    skip: options.SkipBad = False,
    device: options.Device = None,
    engine: options.Engine = None,
    scheduler: options.Scheduler = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict every module's property for structures."""
    from itertools import groupby
    from operator import itemgetter

    from moma_app.cli.predict import usable_rows
    from moma_app.work.predict import predict_spec

    with running.open_jobs(engine, scheduler) as jobs:
        machine = device or jobs.settings.device
        spec = predict_spec(files, hub=hub, modules=modules, skip_bad=skip, device=machine)
        with progress_bar(quiet=quiet) as progress:
            rows = usable_rows(running.do(jobs, spec, progress))
    if json:
        keys = ("file", "module", "property", "value", "unit", "test_mae")
        print_json([{key: row[key] for key in keys} for row in rows])
        return
    for _, group in groupby(rows, itemgetter("structure")):
        predictions = list(group)
        file, note = predictions[0]["file"], predictions[0]["note"]
        table(
            file + (f" ({note})" if note else ""),
            [
                ("module", "left"),
                ("value", "right"),
                ("unit", "left"),
                ("test MAE", "right"),
                ("property", "left"),
            ],
            [
                (p["module"], number(p["value"]), p["unit"], number(p["test_mae"], 3), p["property"])
                for p in predictions
            ],
        )


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="A module's .safetensors file or card (.json) beside it.")],
    hub: options.HubPath = None,
    overwrite: options.Overwrite = False,
    why: hub_living.Why = "",
) -> None:
    """Add a module's file to your hub, checked against its card, its backbone and the hub's other modules."""
    from moma_app.hub.remote import add_file

    stored = add_file(_open(hub), file, overwrite=overwrite, why=why)
    say(f"Added {stored.name} {stored.card.version}.")


@app.command()
def remove(name: Name, hub: options.HubPath = None, why: hub_living.Why = "") -> None:
    """Delete a module from your hub."""
    _open(hub).remove(name, why=why)
    say(f"Removed {name}.")


@app.command()
def verify(hub: options.HubPath = None, json: options.Json = False) -> None:
    """Compare every module's file with the SHA-256 of its card, and the manifest with the cards."""
    from moma_app.hub.releases import disagreements

    opened = _open(hub)
    usable, damaged = opened.check()
    behind = [each for folder in opened.folders for each in disagreements(folder)]
    if json:
        found = {d.name: d.reason for d in damaged}
        print_json({"sound": [m.name for m in usable], "damaged": found, "manifest": behind})
    else:
        say(f"{len(usable)} module{'s' if len(usable) != 1 else ''} sound.")
        for reason in (*(damage.reason for damage in damaged), *behind):
            warn(reason)
    if damaged:
        raise DamagedFileError(f"{len(damaged)} damaged: {', '.join(d.name for d in damaged)}.")
    if behind:
        raise DamagedFileError(f"The manifest is not what the cards say: {behind[0]}")


@app.command()
def export(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="Where the card and the tensor file go.")],
    hub: options.HubPath = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write one module's card and tensor file into a folder."""
    from moma_app.hub.remote import export as export_module

    for path in export_module(_open(hub)[name], folder, overwrite=overwrite):
        say(str(path))


@app.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(help="moe18: the 18 CGCNN extractors of Chang et al. (2022), as safetensors.")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder that holds the source's files.")],
    hub: Annotated[
        str | None,
        typer.Option(
            "--hub", help="Name or folder of the hub; by default a hub of its own, named as SOURCE."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Make a hub of what others have trained, every file checked first."""
    from moma_app.hub.card import summary_of
    from moma_app.hub.importing import import_hub
    from moma_app.tasks import get_task
    from moma_app.training.describe import target_of

    place, modules = import_hub(
        source, folder, lambda task: target_of(get_task(task).spec), hub=hub, overwrite=overwrite
    )
    if json:
        print_json({"hub": str(place), "modules": [summary_of(module.card) for module in modules]})
        return
    say(f"Imported {len(modules)} modules to {place}: {', '.join(module.name for module in modules)}.")
    say(f"Next: moma compose TASK --hub {hub or source}")


@app.command()
def pull(
    source: Annotated[
        str, typer.Argument(help="OWNER/REPOSITORY[@REVISION] on Hugging Face, or file:FOLDER.")
    ],
    names: Names = None,
    hub: options.HubPath = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Copy modules from elsewhere into your hub, checked first."""
    from moma_app.hub.card import summary_of
    from moma_app.hub.remote import pull as pull_modules

    with progress_bar(quiet=quiet) as progress:
        modules = pull_modules(_open(hub), source, names or None, overwrite=overwrite, progress=progress)
    if json:
        print_json([summary_of(module.card) for module in modules])
    else:
        say(f"Pulled {len(modules)} modules: {', '.join(module.name for module in modules)}.")


@app.command()
def push(
    target: Annotated[str, typer.Argument(help="OWNER/REPOSITORY on Hugging Face, or file:FOLDER.")],
    names: Names = None,
    hub: options.HubPath = None,
    public: Annotated[bool, typer.Option("--public", help="Create a public repository.")] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Copy modules of your hub to elsewhere."""
    from moma_app.hub.remote import push as push_modules

    where = push_modules(_open(hub), target, names or None, overwrite=overwrite, private=not public)
    say(f"Pushed to {where}.")
