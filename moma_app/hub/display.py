"""What a notebook shows of a hub, a module and its card. No tensor is read."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from moma_app.display import bar, beside, curves, facts, note, rows_table, show
from moma_app.errors import DamagedFileError
from moma_app.markup import Child, Markup, element, join
from moma_app.text import count, number, one_line, seconds_text, whole, with_unit, with_unit_after

if TYPE_CHECKING:
    from moma_app.hub.card import Card
    from moma_app.hub.hub import Damage, Hub
    from moma_app.hub.module import Module

MOST = 60
"""Modules of a hub that are shown."""


def hub_html(hub: Hub) -> str:
    """Show a hub: its modules with their errors, and those that are damaged."""
    usable, damaged = hub.check(files=False)
    trouble, version, name = "", "", ""
    try:
        manifest = hub.manifest
        version, name = (manifest.version, manifest.name) if manifest is not None else ("", "")
    except DamagedFileError as exc:
        trouble = str(exc)
    cards = [module.card for module in usable]
    kinds = [(kind, sum(card.kind == kind for card in cards)) for kind in ("full", "adapter")]
    rows = [_row(card) for card in islice(cards, MOST)]
    return show(
        "Hub",
        name or hub.folders[0].name,
        _sizes(cards, damaged),
        facts(
            ("version", version),
            ("modules", ", ".join(f"{n} {kind}" for kind, n in kinds if n)),
            ("backbone", ", ".join(sorted({card.backbone for card in cards}))),
            ("in", ", ".join(str(folder) for folder in hub.folders)),
        ),
        rows_table(
            ("module", "property", "kind", "train rows", "test error", "MAE/MAD", ""),
            rows,
            numbers=(3, 4, 5),
            total=len(cards),
            what="module",
        ),
        note("MAE/MAD: 1 is no better than always saying the mean.") if cards else "",
        _damage(damaged),
        note(trouble, class_="bad") if trouble else "",
        "" if cards or damaged else note("It holds no modules yet."),
    )


def module_html(module: Module) -> str:
    """Show a module: its card, and where its tensors are."""
    where = "in memory" if module.path is None else str(module.path)
    return _card("Module", module.card, ("tensors", where))


def card_html(card: Card) -> str:
    """Show a card."""
    return _card("Card", card, ("tensors", card.file))


def _card(kind: str, card: Card, where: tuple[str, Child]) -> str:
    target, data, metrics, hardware = card.target, card.data, card.metrics, card.hardware
    rows = " / ".join(whole(n) for n in (data.rows_train, data.rows_val, data.rows_test))
    known = any(n is not None for n in (data.rows_train, data.rows_val, data.rows_test))
    better = metrics.mae_over_mad
    errors = facts(
        ("test MAE", "" if metrics.test_mae is None else with_unit_after(metrics.test_mae, target.unit)),
        ("MAE/MAD", "" if better is None else join([number(better), bar(better)])),
        ("R²", "" if metrics.test_r2 is None else number(metrics.test_r2)),
        ("accuracy", "" if metrics.test_accuracy is None else number(metrics.test_accuracy)),
        *(
            (f"{other.name} MAE", with_unit_after(other.mae, target.unit))
            for other in card.references
            if other.mae is not None
        ),
    )
    return show(
        kind,
        card.name,
        with_unit(target.property, "" if target.kind == "classification" else target.unit),
        facts(
            ("version", card.version),
            ("kind", card.kind),
            ("backbone", card.backbone + (f" ({card.fingerprint})" if card.fingerprint else "")),
            ("task", target.task),
            ("licence", card.licence),
        ),
        errors,
        facts(
            ("train / validation / test rows", rows if known else "not known"),
            ("from", data.source),
            ("left out", data.left_out),
        ),
        beside(
            learning_curve(card),
            facts(
                ("trained on", hardware.device if hardware else ""),
                ("in", seconds_text(hardware.seconds) if hardware else ""),
                ("parameters", f"{hardware.trainable_parameters:,} trained" if hardware else ""),
                ("seed", str(card.seed)),
                ("size", f"{card.size / 1e6:.2f} MB" if card.size else ""),
                where,
            ),
        ),
        note(card.note) if card.note else "",
        note("Source of the data: ", card.citation) if card.citation else "",
    )


def learning_curve(card: Card) -> Markup:
    """Return a module's learning curve as a small drawing; nothing if its card has none."""
    val = [point.val_error for point in card.curve]
    known = [(error, place) for place, error in enumerate(val) if math.isfinite(error)]
    best = min(known)[1] if known else None
    unit = "" if card.target.kind == "classification" else card.target.unit
    best_of_all = "" if best is None else with_unit_after(val[best], unit)
    label = f"error over {count(len(val), 'epoch')}" + (
        "" if best is None else f", best {best_of_all} in epoch {card.curve[best].epoch}"
    )
    lines = [[point.train_error for point in card.curve], val]
    return curves(lines, names=("train", "validation"), label=label, mark=best)


def _row(card: Card) -> tuple[Child, ...]:
    metrics, target = card.metrics, card.target
    if metrics.test_mae is not None:
        error = with_unit_after(metrics.test_mae, target.unit)
    elif metrics.test_accuracy is not None:
        error = f"accuracy {number(metrics.test_accuracy)}"
    else:
        error = "–"
    return (
        card.name,
        one_line(target.property, 70),
        card.kind,
        whole(card.data.rows_train),
        error,
        number(metrics.mae_over_mad),
        bar(metrics.mae_over_mad),
    )


def _damage(damaged: list[Damage]) -> Markup:
    return rows_table(
        ("damaged module", "why it cannot be used"),
        [(element("span", bad.name, class_="bad"), one_line(bad.reason, 300)) for bad in damaged[:MOST]],
        total=len(damaged),
        what="damaged module",
    )


def _sizes(cards: list[Card], damaged: list[Damage]) -> str:
    return count(len(cards), "module") + (f", {len(damaged)} damaged" if damaged else "")
