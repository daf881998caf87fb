"""The part of a report about the fits: test errors, learning curves, parity plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moma_app.markup import Child, Markup, element, join, table
from moma_app.plots import comparison, figures
from moma_app.plots.page import Figure
from moma_app.plots.parity_values import parity_values
from moma_app.plots.payloads import fit_labels, is_classification
from moma_app.plots.text import column, count, seconds_text, with_unit

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport

MOST_POINTS = 10_000
"""Points of all parity plots together, so that the file stays below some 5 MB."""


def fits_section(fits: Sequence[FitReport], drawn: dict[str, Figure]) -> Markup:
    """Return test errors, learning curves and parity plots; draw them."""
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
    if all(is_classification(fit) for fit in fits):
        return "Predicted and true classes of the test structures"
    return "Predicted against true values of the test structures"


def _parity_panels(fits: Sequence[FitReport], drawn: dict[str, Figure]) -> list[str]:
    """Draw one panel for each fit, with the same axes where the fits share a property."""
    most = max(100, MOST_POINTS // len(fits))
    limits = None
    numeric = [fit for fit in fits if not is_classification(fit)]
    if numeric and len({(fit.property, fit.unit) for fit in numeric}) == 1:
        limits = parity_values(numeric, None).limits
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
    labels = fit_labels(fits)
    pair = comparison.pick(fits)
    baseline = pair[1] if pair else None
    columns: dict[str, Sequence[Child]] = {"Predictor": list(labels)}
    numeric = [fit for fit in fits if not is_classification(fit)]
    if numeric:
        unit = numeric[0].unit
        columns[with_unit("Test MAE", unit)] = column([fit.metrics.get("mae") for fit in fits])
        if baseline is not None and not is_classification(baseline):
            columns["MAE difference"] = [
                "–" if is_classification(fit) else comparison.percent_against(fit, baseline) for fit in fits
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
