"""A module's card in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

from moma_app.plots.quality_text import compared
from moma_app.plots.text import number, seconds_text, whole, with_unit, with_unit_after

if TYPE_CHECKING:
    from moma_app.hub.card import Card
    from moma_app.hub.content import Entry
    from moma_app.hub.hub import Damage


class CardItem(TypedDict):
    """What one card shows. All text is text, never markup.

    Attributes:
        name: its heading.
        href: address that it leads to; empty if it leads nowhere.
        badges: short words beside the name.
        subtitle: below the name.
        facts: names and values.
        note: at its bottom; two lines of it are seen.
        problem: what is wrong with it; empty if nothing.
        spark: values of a small curve; fewer than two are not drawn.
        spark_text: what the curve is, in words.
    """

    name: str
    href: str
    badges: list[str]
    subtitle: str
    facts: list[tuple[str, str]]
    note: str
    problem: str
    spark: list[float]
    spark_text: str


def quality(card: Card) -> str:
    """Return a module's test error with its unit, or its accuracy."""
    metrics = card.metrics
    if metrics.test_mae is not None:
        return with_unit_after(metrics.test_mae, card.target.unit)
    if card.target.kind == "regression" and metrics.val_error is not None:
        return f"{with_unit_after(metrics.val_error, card.target.unit)} (validation)"
    return f"accuracy {number(metrics.test_accuracy)}" if metrics.test_accuracy is not None else "–"


def megabytes(size: int) -> str:
    """Return a file's size."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def card_item(entry: Entry, href: str) -> CardItem:
    """Return what a module's card in the grid shows."""
    card = entry.card
    curve = [point.val_error for point in card.curve if math.isfinite(point.val_error)]
    return CardItem(
        name=card.name,
        href=href,
        badges=[card.kind, card.backbone, entry.family, *(["built-in"] if entry.builtin else [])],
        subtitle=with_unit(card.target.property, card.target.unit),
        facts=[
            ("Test MAE" if card.target.kind == "regression" else "Test", quality(card)),
            ("MAE/MAD", number(card.metrics.mae_over_mad)),
            ("Training data", f"{whole(card.data.rows_train)} rows"),
            ("Licence", card.licence),
            ("Made", card.created[:10]),
        ],
        note=card.data.source,
        problem="",
        spark=[math.log(value) for value in curve] if curve and min(curve) > 0 else curve,
        spark_text=f"Validation error over {len(curve)} epochs",
    )


def damage_item(damage: Damage) -> CardItem:
    """Return what the grid shows of a module that cannot be used."""
    return CardItem(
        name=damage.name,
        href="",
        badges=["damaged"],
        subtitle="",
        facts=[],
        note="",
        problem=damage.reason,
        spark=[],
        spark_text="",
    )


def about(card: Card, known: Iterable[Card] = ()) -> dict[str, str]:
    """Return what a module is and how good it is, beside what the cards ``known`` of its hub say of others."""
    metrics, data = card.metrics, card.data
    cells = f", cells up to {data.max_atoms} atoms" if data.max_atoms else ""
    of = f" of {data.rows_published:,}" if data.rows_published else ""
    return {
        "Predicts": with_unit(card.target.property, card.target.unit),
        "Task": card.target.task
        + (f", {card.target.transform} of the property" if card.target.transform else ""),
        "Kind": "full: all weights" if card.kind == "full" else "adapter in the frozen backbone",
        "Backbone": f"{card.backbone} {card.fingerprint or 'from an initialisation of its own'}, layers {card.layers}",
        "Test error": quality(card) + ("" if data.rows_test is None else f" on {data.rows_test:,} rows"),
        "MAE/MAD": number(metrics.mae_over_mad),
        "R²": number(metrics.test_r2) if metrics.test_r2 is not None else "",
        "Macro F1": number(metrics.test_macro_f1) if metrics.test_macro_f1 is not None else "",
        **compared(card, known),
        "Training rows": f"{whole(data.rows_train)}{of}, {whole(data.rows_val)} for validation{cells}",
        "Left out": data.left_out,
        "Note": card.note,
    }


def provenance(card: Card) -> dict[str, str]:
    """Return where a module comes from and how it was made."""
    hardware = card.hardware
    memory = (
        f", peak memory {hardware.peak_memory_mb:,.0f} MB" if hardware and hardware.peak_memory_mb else ""
    )
    return {
        "Data": card.data.source,
        "Data hash": card.data.hash,
        "Split": f"seed {card.data.split_seed}",
        "Recipe": recipe_line(card),
        "Seed": str(card.seed),
        "Hardware": f"{hardware.device}, {seconds_text(hardware.seconds)}{memory}" if hardware else "",
        "Parameters": f"{hardware.trainable_parameters:,} of {hardware.total_parameters:,} trained"
        if hardware
        else "",
        "Licence": card.licence,
        "Citation": card.citation,
        "Version": card.version,
        "Made": f"{card.created} with {card.made_with}",
        "File": f"{card.file}, {megabytes(card.size)}",
        "SHA-256": card.sha256,
    }


def recipe_line(card: Card) -> str:
    """Return the settings of the training that matter most."""
    fit = card.recipe.get("fit", {})
    known = {
        "epochs": "epochs",
        "batch": "batch_size",
        "learning rate": "learning_rate",
        "loss": "loss",
        "EMA": "ema_decay",
    }
    settings = [f"{name} {fit[key]}" for name, key in known.items() if key in fit]
    name = str(card.recipe.get("name", ""))
    done = f"{len(card.curve)} epochs done" if card.curve else ""
    return ", ".join(part for part in (name, *settings, done) if part)
