"""The report of a composition and its fits: one HTML file for colleagues, talks and archives."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import moma_app
from moma_app.plots import comparison, figures, payloads
from moma_app.plots.markup import Child, Markup, element, fold, join, table
from moma_app.plots.page import Figure, write_page
from moma_app.plots.text import column, count, number, seconds_text, weight_text, with_unit, with_unit_after

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult, ModuleScore
    from moma_app.training.outcome import FitReport

MOST_POINTS = 10_000
"""Points of all parity plots together, so that the file stays below some 5 MB."""
TABLE_ROWS = 10
"""Modules without weight that the table shows before the fold."""
HASH_LENGTH = 12


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    result: AMCResult | None = None,
    fits: Sequence[FitReport] = (),
    notes: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write a report as one HTML file that opens without a network, in light or dark.

    Args:
        path: of the file; it is replaced in one step.
        title: heading.
        result: the composition, if there is one.
        fits: fitted predictors; with two or more, the composed module is compared with the bare
            backbone (else the first with the last).
        notes: sentences that the reader should know.
        facts: more provenance, by name.
    """
    drawn: dict[str, Figure] = {}
    body = join(
        [
            element("h1", title),
            _subtitle(result, fits),
            _summary(result, fits),
            *(element("p", note, class_="note") for note in notes),
            _composition(result, drawn) if result is not None else "",
            _fits(fits, drawn) if fits else "",
            _provenance(result, fits, facts or {}),
        ]
    )
    write_page(path, title, body, drawn)


def _subtitle(result: AMCResult | None, fits: Sequence[FitReport]) -> Markup:
    source = result if result is not None else fits[0] if fits else None
    if source is None:
        return element("p", "There is neither a composition nor a fit to report.", class_="subtitle")
    return element(
        "p",
        f"{source.task}: {with_unit(source.property, source.unit)}, split {source.split}",
        class_="subtitle",
    )


def _summary(result: AMCResult | None, fits: Sequence[FitReport]) -> Markup:
    pair = comparison.pick(fits)
    if pair is not None:
        text = comparison.sentences(comparison.compare(*pair))
    elif fits:
        text = comparison.single_sentence(fits[0])
    elif result is not None and result.modules:
        used = sum(score.weight > 0 for score in result.modules)
        best = result.best_single
        text = (
            f"AMC gives weight to {used:,} of {count(len(result.modules), 'module')} from "
            f"{count(len(result.train_ids), 'training structure')}; the lowest proxy error is "
            f"{with_unit_after(best.proxy_mae, result.unit)}, of {best.module}."
        )
    else:
        return Markup()
    return element("p", text, class_="summary")


# ---------------------------------------------------------------------- composition


def _composition(result: AMCResult, drawn: dict[str, Figure]) -> Markup:
    parts: list[Child] = [element("h2", "Composition"), _explanation(result)]
    if result.modules:
        drawn["weights"] = Figure(figures.weight_bars(result), figures.weight_bars(result, mode="dark"))
        scores = payloads.sorted_scores(result)
        n_shown = max(TABLE_ROWS, min(payloads.TOP, sum(score.weight > 0 for score in scores)))
        shown, rest = scores[:n_shown], scores[n_shown:]
        parts += [element("div", id="weights", class_="figure"), _modules_table(shown, result)]
        if rest:
            parts.append(fold(count(len(rest), "more module"), _modules_table(rest, result)))
    if result.skipped:
        parts += [
            element("h3", "Left out"),
            table(["Module", "Reason"], ([name, why] for name, why in result.skipped.items())),
        ]
    return element("section", *parts)


def _modules_table(scores: Sequence[ModuleScore], result: AMCResult) -> Markup:
    columns: dict[str, Sequence[Child]] = {
        "Module": [
            element("span", score.module, class_="used") if score.weight > 0 else score.module
            for score in scores
        ],
        "Predicts": [with_unit(score.property, score.unit) for score in scores],
        with_unit("Proxy MAE", result.unit): column([score.proxy_mae for score in scores]),
        "Proxy MAE (std. dev.)": column([score.proxy_mae_standardised for score in scores]),
        "Weight": [weight_text(score.weight) for score in scores],
    }
    return table(columns, zip(*columns.values(), strict=True), numbers=(2, 3, 4))


def _explanation(result: AMCResult) -> Markup:
    return join(
        [
            element(
                "p",
                "Adaptive module composition (AMC) lets every module of the hub estimate each training "
                "structure from its ",
                element("i", "K"),
                f" = {result.k} nearest other training structures in that module's embedding: no training is "
                "needed, and the error of this estimate is the module's proxy error. It then finds the weights "
                "with which the modules' estimates together come closest to the true values, and averages the "
                "modules' parameters with these weights:",
            ),
            element("div", Markup(_EQUATION_2), Markup(_EQUATION_3), class_="equations"),
            element(
                "p",
                "Here ŷ",
                element("sub", "ij"),
                " is the estimate for structure ",
                element("i", "i"),
                " by module ",
                element("i", "j"),
                ", y",
                element("sub", "i"),
                " the true value, both in standard deviations of the training targets; ",
                element("i", "m"),
                f" = {len(result.train_ids):,} and ",
                element("i", "N"),
                f" = {len(result.modules):,}. The minimum reached is {number(result.objective)}.",
                class_="note",
            ),
        ]
    )


_EQUATION_2 = """
<math display="block"><mi>E</mi><mo stretchy="false">(</mo><mi>w</mi><mo stretchy="false">)</mo><mo>=</mo>
<mfrac><mn>1</mn><mi>m</mi></mfrac>
<munderover><mo movablelimits="false">∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>m</mi></munderover>
<msup><mrow><mo>(</mo>
<munderover><mo movablelimits="false">∑</mo><mrow><mi>j</mi><mo>=</mo><mn>1</mn></mrow><mi>N</mi></munderover>
<msub><mi>w</mi><mi>j</mi></msub><mspace width="0.17em"/><msub><mover accent="true"><mi>y</mi><mo>^</mo></mover><mrow><mi>i</mi><mi>j</mi></mrow></msub>
<mo>−</mo><msub><mi>y</mi><mi>i</mi></msub><mo>)</mo></mrow><mn>2</mn></msup>
<mspace width="2em"/><mtext>(Eq. 2)</mtext></math>"""
_EQUATION_3 = """
<math display="block"><msup><mi>w</mi><mo>*</mo></msup><mo>=</mo>
<munder><mrow><mi mathvariant="normal">arg min</mi></mrow><mi>w</mi></munder><mspace width="0.3em"/>
<mi>E</mi><mo stretchy="false">(</mo><mi>w</mi><mo stretchy="false">)</mo>
<mspace width="1em"/><mtext>with</mtext><mspace width="0.5em"/>
<msub><mi>w</mi><mi>j</mi></msub><mo>≥</mo><mn>0</mn><mo>,</mo><mspace width="0.5em"/>
<munderover><mo movablelimits="false">∑</mo><mrow><mi>j</mi><mo>=</mo><mn>1</mn></mrow><mi>N</mi></munderover>
<msub><mi>w</mi><mi>j</mi></msub><mo>=</mo><mn>1</mn>
<mspace width="2em"/><mtext>(Eq. 3)</mtext></math>"""


# ---------------------------------------------------------------------- fits


def _fits(fits: Sequence[FitReport], drawn: dict[str, Figure]) -> Markup:
    parts: list[Child] = [element("h2", "Test results"), _fits_table(fits)]
    curves = any(fit.curve is not None and fit.curve.epoch for fit in fits)
    if curves:
        drawn["curves"] = Figure(figures.learning_curves(fits), figures.learning_curves(fits, mode="dark"))
    panels = _parity_panels(fits, drawn)
    boxes = [element("div", id=key, class_="figure") for key in panels]
    if curves:
        parts += [element("h3", "Learning curves"), element("div", id="curves", class_="figure")]
    return element(
        "section", *parts, element("h3", _parity_heading(fits)), element("div", *boxes, class_="figures")
    )


def _parity_heading(fits: Sequence[FitReport]) -> str:
    if all(payloads.is_classification(fit) for fit in fits):
        return "Predicted and true classes of the test structures"
    return "Predicted against true values of the test structures"


def _parity_panels(fits: Sequence[FitReport], drawn: dict[str, Figure]) -> list[str]:
    """Draw one panel for each fit, with the same axes where the fits share a property."""
    most = max(100, MOST_POINTS // len(fits))
    limits = None
    numeric = [fit for fit in fits if not payloads.is_classification(fit)]
    if numeric and len({(fit.property, fit.unit) for fit in numeric}) == 1:
        limits = payloads.parity_values(numeric, None).limits
    keys = []
    for index, fit in enumerate(fits):
        key = f"parity-{index}"
        drawn[key] = Figure(
            figures.parity([fit], limits=limits, first=index, most=most),
            figures.parity([fit], limits=limits, first=index, most=most, mode="dark"),
        )
        keys.append(key)
    return keys


def _fits_table(fits: Sequence[FitReport]) -> Markup:
    labels = payloads.fit_labels(fits)
    pair = comparison.pick(fits)
    baseline = pair[1] if pair else None
    columns: dict[str, Sequence[Child]] = {"Predictor": list(labels)}
    numeric = [fit for fit in fits if not payloads.is_classification(fit)]
    if numeric:
        unit = numeric[0].unit
        columns[with_unit("Test MAE", unit)] = column([fit.metrics.get("mae") for fit in fits])
        if baseline is not None and not payloads.is_classification(baseline):
            columns["MAE difference"] = [
                "–" if payloads.is_classification(fit) else comparison.percent_against(fit, baseline)
                for fit in fits
            ]
        columns[with_unit("RMSE", unit)] = column([fit.metrics.get("rmse") for fit in fits])
        columns["R²"] = column([fit.metrics.get("r2") for fit in fits])
        columns["MAE/MAD"] = column([_over_mad(fit) for fit in fits])
    if len(numeric) < len(fits):
        columns["Accuracy"] = [_percent(fit.metrics.get("accuracy")) for fit in fits]
        columns["Macro F1"] = column([fit.metrics.get("macro_f1") for fit in fits])
    if any("coverage90" in fit.metrics for fit in fits):
        columns["In 90 % interval"] = [_percent(fit.metrics.get("coverage90")) for fit in fits]
    columns["Epochs"] = [_epochs(fit) for fit in fits]
    columns["Time"] = [seconds_text(fit.seconds) for fit in fits]
    rows = zip(*columns.values(), strict=True)
    parts: list[Child] = [table(columns, rows, numbers=range(1, len(columns)))]
    parts.append(element("p", *_table_note(fits, labels, baseline), class_="note"))
    return join(parts)


def _table_note(fits: Sequence[FitReport], labels: Sequence[str], baseline: FitReport | None) -> list[str]:
    said = [f"{count(len(fits[0].ids), 'test structure')}. "]
    if any("mad" in fit.metrics for fit in fits):
        said.append(
            "MAD is the mean absolute deviation of the test values from the training mean: "
            "MAE/MAD = 1 is no better than predicting that mean. "
        )
    if baseline is not None:
        said.append(f"Differences are relative to the {labels[list(fits).index(baseline)]}.")
    return said


def _over_mad(fit: FitReport) -> float | None:
    mae, mad = fit.metrics.get("mae"), fit.metrics.get("mad")
    return mae / mad if mae is not None and mad else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _epochs(fit: FitReport) -> str:
    if fit.curve is None or not fit.curve.epoch:
        return "–"
    kept = "" if fit.best_epoch is None else f" (kept {fit.best_epoch})"
    return f"{len(fit.curve.epoch)}{kept}"


# ---------------------------------------------------------------------- provenance


def _provenance(result: AMCResult | None, fits: Sequence[FitReport], facts: Mapping[str, str]) -> Markup:
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
    layers = "all layers" if result.layers == "all" else f"{result.layers} layer"
    facts: dict[str, Child] = {
        "Task": result.task,
        "Split": f"{result.split} ({result.split_origin}); {rows}",
        "Neighbours K, temperature T": f"{result.k}, {result.temperature:g}",
        "Backbone": join(
            [
                f"{result.backbone}, {layers}, fingerprint ",
                element("code", result.fingerprint[:HASH_LENGTH]),
            ]
        ),
        "Modules": f"{result.kind}, {len(result.modules):,}",
        "Weights": f"solver status: {result.status}; objective {number(result.objective, 4)}",
    }
    if result.made_with:
        facts["Composed with"] = f"moma-app {result.made_with}"
    return facts


def _hashes(result: AMCResult) -> Markup:
    rows = [
        [score.module, score.version, element("code", score.sha256[:HASH_LENGTH] or "–")]
        for score in payloads.sorted_scores(result)
    ]
    return fold("Versions and hashes of the modules", table(["Module", "Version", "SHA-256 (start)"], rows))


def _configs(fits: Sequence[FitReport]) -> Markup:
    flat = [_flat(fit.config) for fit in fits]
    names = list(dict.fromkeys(name for config in flat for name in config))
    rows = [[name, *(config.get(name, "–") for config in flat)] for name in names]
    return fold("Settings of the fits", table(["Setting", *payloads.fit_labels(fits)], rows))


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as one level, with dots in the names."""
    result: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return result
