"""What a notebook shows of a composition: which modules, with what weight, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from moma_app.display import bar, facts, note, rows_table, show
from moma_app.markup import Child, Markup, fold
from moma_app.text import column, count, number, one_line, weight_text, with_unit

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult, ModuleScore

TOP = 12
"""Modules that are shown at once; the others can be unfolded."""


def result_html(result: AMCResult, kind: str = "AMCResult") -> str:
    """Show a composition.

    Args:
        result: of it.
        kind: name of the object that holds it.
    """
    scores = sorted(result.modules, key=lambda score: (-score.weight, score.proxy_mae))
    shots = "" if result.shots is None else f"{result.shots} shots, "
    rows = f"{shots}split {result.split} ({result.split_origin})"
    return show(
        kind,
        result.task,
        with_unit(result.property, result.unit),
        facts(
            ("K", str(result.k)),
            ("T", f"{result.temperature:g}"),
            ("train rows", f"{len(result.train_ids):,}, {rows}"),
            ("backbone", f"{result.backbone}, {result.kind} modules"),
            ("weights by", result.weighting),
        ),
        facts(
            ("objective", f"{number(result.objective)} (RMSE {number(_root(result.objective))} std)"),
            ("solver", result.status),
            ("best single module", result.best_single.module if result.modules else ""),
        ),
        _table(result, scores[:TOP]),
        fold(f"{count(len(scores) - TOP, 'more module')}", _table(result, scores[TOP:]))
        if len(scores) > TOP
        else "",
        rows_table(("left out", "why"), [(name, one_line(why, 300)) for name, why in result.skipped.items()]),
        ""
        if result.mergeable
        else note("These modules share no initialisation: they can be mixed, not merged."),
    )


def _table(result: AMCResult, scores: Sequence[ModuleScore]) -> Markup:
    largest = max((score.weight for score in result.modules), default=0.0) or 1.0
    worst = max((score.proxy_mae for score in result.modules), default=0.0) or 1.0
    errors = column([score.proxy_mae for score in scores])
    standardised = column([score.proxy_mae_standardised for score in scores])
    rows: list[tuple[Child, ...]] = [
        (
            score.module,
            one_line(score.property, 60),
            weight_text(score.weight),
            bar(score.weight / largest),
            errors[i],
            bar(score.proxy_mae / worst, second=True),
            standardised[i],
        )
        for i, score in enumerate(scores)
    ]
    proxy = with_unit("proxy error (MAE)" if not result.unit else "proxy MAE", result.unit)
    return rows_table(
        ("module", "trained on", "weight", "", proxy, "", "in std"), rows, numbers=(2, 4, 6), what="module"
    )


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan
