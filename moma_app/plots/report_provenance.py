"""The part of a report about where its numbers come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import moma_app
from moma_app.markup import Child, Markup, element, fold, join, table
from moma_app.plots.bar_values import sorted_scores
from moma_app.plots.payloads import fit_labels
from moma_app.plots.text import count, number

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.training.outcome import FitReport

HASH_LENGTH = 12


def provenance_section(
    result: AMCResult | None, fits: Sequence[FitReport], facts: Mapping[str, str]
) -> Markup:
    """Return settings, hashes and versions that decide the numbers."""
    items: dict[str, Child] = {}
    if result is not None:
        items |= _composition_facts(result)
    elif fits:
        items["Task"] = f"{fits[0].task}, split {fits[0].split}"
    if fits:
        seeds = dict.fromkeys(str(fit.seed) for fit in fits)
        items["Seed of the fits" if len(seeds) == 1 else "Seeds of the fits"] = ", ".join(seeds)
        hardware = dict.fromkeys(fit.hardware for fit in fits if fit.hardware)
        if hardware:
            items["Hardware"] = "; ".join(hardware)
    items["Report made with"] = f"moma-app {moma_app.__version__}"
    items |= {str(name): str(value) for name, value in facts.items()}
    parts: list[Child] = [
        element("h2", "Settings and provenance"),
        element("dl", *(join([element("dt", name), element("dd", value)]) for name, value in items.items())),
    ]
    if result is not None and result.modules:
        parts.append(_hashes(result))
    if any(fit.config for fit in fits):
        parts.append(_configs(fits))
    return element("section", *parts)


def _composition_facts(result: AMCResult) -> dict[str, Child]:
    rows = count(len(result.train_ids), "training structure")
    if result.shots is not None:
        rows += f", drawn with seed {result.seed}"
    layers = {"all": "all layers", "last": "last layer"}.get(result.layers, result.layers)
    start: Child = (
        join(["fingerprint ", element("code", result.fingerprint[:HASH_LENGTH])])
        if result.fingerprint
        else "each module from an initialisation of its own"
    )
    facts: dict[str, Child] = {
        "Task": result.task,
        "Split": f"{result.split} ({result.split_origin}); {rows}",
        "Neighbours K, temperature T": f"{result.k}, {result.temperature:g}",
        "Backbone": join([f"{result.backbone}, {layers}, ", start]),
        "Modules": f"{result.kind}, {len(result.modules):,}",
        "Weights": f"solver status: {result.status}; objective {number(result.objective, 4)}",
    }
    if result.made_with:
        facts["Composed with"] = f"moma-app {result.made_with}"
    return facts


def _hashes(result: AMCResult) -> Markup:
    rows = [
        [score.module, score.version, element("code", score.sha256[:HASH_LENGTH] or "–")]
        for score in sorted_scores(result)
    ]
    return fold("Versions and hashes of the modules", table(["Module", "Version", "SHA-256 (start)"], rows))


def _configs(fits: Sequence[FitReport]) -> Markup:
    flat = [_flat(fit.config) for fit in fits]
    names = list(dict.fromkeys(name for config in flat for name in config))
    rows = [[name, *(config.get(name, "–") for config in flat)] for name in names]
    return fold("Settings of the fits", table(["Setting", *fit_labels(fits)], rows))


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as one level, with dots in the names."""
    result: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return result
