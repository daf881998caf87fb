"""``moma hub``, what changes in the course of time: diff, release, shrink, superseded modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from moma_app.cli import options
from moma_app.cli.output import number, print_json, progress_bar, quantity, say, table, warn
from moma_app.plots.text import whole

if TYPE_CHECKING:
    from moma_app.hub import Card, Hub
    from moma_app.hub.diff import Changed, HubDiff, Side
    from moma_app.hub.manifest import Superseded

Source = "A hub's folder, 'builtin', or OWNER/REPOSITORY[@REVISION] on Hugging Face."
Why = Annotated[
    str,
    typer.Option("--why", help="Reason, for the hub's manifest; by default what differs between the cards."),
]


def quality(card: Card | Superseded, digits: int = 3) -> str:
    """Write a module's test error with its unit, or its accuracy; of others' modules perhaps the validation error."""
    from moma_app.hub import Card

    metrics = card.metrics
    unit = card.target.unit if isinstance(card, Card) else card.unit
    if metrics.test_mae is not None:
        return quantity(metrics.test_mae, unit, digits)
    if metrics.test_accuracy is None and metrics.val_error is not None:
        return f"{quantity(metrics.val_error, unit, digits)} (validation)"
    return f"accuracy {number(metrics.test_accuracy, digits)}" if metrics.test_accuracy is not None else "–"


def megabytes(size: int) -> str:
    """Write a size; a megabyte is a million bytes."""
    return f"{size / 1e6:.2f} MB"


def diff(
    old: Annotated[str, typer.Argument(help=Source)],
    new: Annotated[str, typer.Argument(help=Source)],
    json: options.Json = False,
) -> None:
    """Compare two hubs: modules added, removed and changed, with versions, test errors and sizes."""
    from moma_app.hub.diff import diff as compare
    from moma_app.hub.remote import looking_at

    with looking_at(old) as before, looking_at(new) as after:
        found = compare(before, after, names=(old, new))
    if json:
        print_json(found.to_dict())
        return
    for side in (found.old, found.new):
        for damage in side.damaged:
            warn(damage.reason)
    say(f"old  {_side(found.old)}")
    say(f"new  {_side(found.new)}")
    _section("added", [_added(card) for card in found.added])
    _section("removed", [_added(card) for card in found.removed])
    _section("changed", [_changed(each) for each in found.changed])
    say(
        f"unchanged ({len(found.unchanged)})" + (": " if found.unchanged else "") + ", ".join(found.unchanged)
    )
    say(_total(found))


def _side(side: Side) -> str:
    name = f"{side.name} {side.version}" if side.version else "no manifest"
    return f"{side.where}: {name}, {_count(side.modules)}, {megabytes(side.size)}"


def _count(modules: int) -> str:
    return f"{modules:,} module{'' if modules == 1 else 's'}"


def _section(title: str, lines: list[str]) -> None:
    if lines:
        say(f"{title} ({len(lines)})")
    for line in lines:
        say(f"  {line}")


def _added(card: Card) -> str:
    return (
        f"{card.name} {card.version}: {card.kind}, {card.backbone}, {card.data.rows_train:,} train rows, "
        f"{_error(card)}, {card.storage}, {megabytes(card.size)}"
    )


def _error(card: Card, digits: int = 3) -> str:
    """Write the test error and what it is; an accuracy says so itself."""
    return ("test MAE " if card.metrics.test_mae is not None else "test ") + quality(card, digits)


def _changed(each: Changed) -> str:
    from moma_app.hub.changes import shown

    old, new = each.old, each.new
    changes = {change.field: change for change in each.changes}
    parts = []
    if {"metrics.test_mae", "metrics.test_accuracy", "target.unit"} & changes.keys():
        percent = "" if each.error_change is None else f" ({each.error_change:+.2%})"
        parts.append(f"{_error(old, 4)} → {quality(new, 4)}{percent}")
    told = {"metrics", "size", "sha256", "created", "curve", "hardware"}
    parts += [
        f"{change.field} {shown(change.old)} → {shown(change.new)}"
        for change in each.changes
        if change.field.partition(".")[0] not in told
    ]
    if "size" in changes:
        parts.append(f"size {megabytes(old.size)} → {megabytes(new.size)}")
    if not parts:
        parts.append(
            "trained anew" if "created" in changes else "described anew" if changes else "renumbered"
        )
    version = f"{old.version} → {new.version}" if old.version != new.version else f"{new.version} (as before)"
    return f"{new.name} {version}: {'; '.join(parts)}"


def _total(found: HubDiff) -> str:
    old, new = found.old.size, found.new.size
    percent = f" ({new / old - 1:+.0%})" if old else ""
    return f"total size {megabytes(old)} → {megabytes(new)}{percent}"


def release(
    version: Annotated[
        str | None,
        typer.Argument(
            help="Semantic version; by default the next one, by what has changed (1.0.0 at first)."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the hub.")] = None,
    summary: Annotated[str | None, typer.Option("--summary", help="A sentence on what the hub is.")] = None,
    hub: options.HubPath = None,
) -> None:
    """Write the hub's manifest (hub.toml), which gives its content a name and a version."""
    from moma_app.hub import Hub

    manifest = Hub.open(hub).release(version, name=name, summary=summary)
    say(f"{manifest.name} {manifest.version}, {_count(len(manifest.modules))}.")


def show_superseded(record: Superseded, hub: Hub) -> None:
    """Print what the manifest kept of a module, and what the hub has in its place."""
    data, metrics = record.data, record.metrics
    became = f"superseded by {record.superseded_by}" if record.superseded_by else "removed"
    facts = {
        "module": f"{record.name} {record.version}" + (f" ({record.kind})" if record.kind else ""),
        "status": f"{became} on {record.when}" + (f": {record.why}" if record.why else ""),
        "predicts": f"{record.property} ({record.unit})" if record.property else "",
        "backbone": f"{record.backbone} {record.fingerprint}".strip(),
        "trained on": ""
        if data is None
        else f"{whole(data.rows_train)} rows of {record.task} ({data.source})",
        "test error": ""
        if data is None
        else f"{quality(record)} on {whole(data.rows_test)} rows; MAE/MAD {number(metrics.mae_over_mad, 3)}, "
        f"R² {number(metrics.test_r2, 3)}",
        "recipe": f"{record.recipe}, seed {record.seed}" if record.recipe else "",
        "file": f"SHA-256 {record.sha256}; the file itself is not kept",
        "made": f"{record.created} with {record.made_with}" if record.created else "",
    }
    if record.name in hub:
        facts["now"] = f"{record.name} {hub[record.name].card.version}"
    for key, value in facts.items():
        if value:
            say(f"{key:12} {value}")


def shrink(
    names: Annotated[list[str] | None, typer.Argument(help="Names of modules; all by default.")] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="Largest relative change of the test error.")
    ] = 0.005,
    hub: options.HubPath = None,
    device: options.Device = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Store modules in half precision (float16, else bfloat16) where their test error stays as it is."""
    from moma_app.config import get_settings
    from moma_app.hub import Hub
    from moma_app.work.shrink import shrink as shrink_modules

    settings = get_settings()
    rows: list[dict[str, Any]] = []
    with progress_bar(quiet=quiet) as progress:
        rows.extend(
            shrink_modules(
                Hub(Hub.open(hub).folders[0]),
                names or None,
                tolerance=tolerance,
                graph_folder=settings.graph_folder,
                device=device or settings.device,
                progress=progress,
            )
        )
    if json:
        print_json(rows)
        return
    table(
        None,
        [
            ("module", "left"),
            ("version", "left"),
            ("stored in", "left"),
            ("test error in float32", "right"),
            ("as stored", "right"),
            ("change", "right"),
            ("size", "right"),
        ],
        [
            (
                row["name"],
                row["version"],
                row["storage"],
                number(row["error_float32"]),
                number(row["error"]),
                f"{row['change']:.3%}",
                f"{megabytes(row['size_before'])} → {megabytes(row['size'])}",
            )
            for row in rows
        ],
    )
