"""What a notebook shows of fits, predictors and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moma_app.display import bar, beside, code, curves, facts, note, parity, rows_table, show
from moma_app.markup import Child, Markup
from moma_app.text import column, count, number, seconds_text, weight_text, with_unit, with_unit_after

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport
    from moma_app.training.predictor import Prediction, Predictor

SHOWN = 8
"""Rows of predictions that are shown."""
NAMES = {
    "mae": "test MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "coverage90": "within the 90% interval",
    "n": "test rows",
}
"""Metrics that are shown, with their names."""
_WITH_UNIT = ("mae", "rmse")


def report_html(report: FitReport) -> str:
    """Show a fit: its errors on the test rows, the learning curve, predictions over targets."""
    shots = "" if report.shots is None else f", {report.shots} shots"
    return show(
        "FitReport",
        report.task,
        with_unit(report.property, report.unit),
        facts(
            ("", report.label),
            ("split", f"{report.split}{shots}, seed {report.seed}"),
            ("in", seconds_text(report.seconds) if report.seconds else ""),
            ("on", report.hardware),
        ),
        _metrics(report.metrics, report.unit),
        beside(
            Markup()
            if "accuracy" in report.metrics
            else parity(report.targets, report.predicted, label="predicted over true, test rows"),
            _curve(report),
            worst_rows(report),
        ),
    )


def worst_rows(report: FitReport, most: int = 5) -> Markup:
    """Return the test rows with the largest errors as a table; nothing for classes."""
    if "accuracy" in report.metrics:
        return Markup()
    errors = [p - t for p, t in zip(report.predicted, report.targets, strict=True)]
    order = sorted(range(len(errors)), key=lambda row: -abs(errors[row]))[:most]
    shown = zip(
        [report.ids[row] for row in order],
        column([report.targets[row] for row in order]),
        column([report.predicted[row] for row in order]),
        [number(errors[row], 2) for row in order],
        strict=True,
    )
    return rows_table(
        ("largest errors", "true", "predicted", with_unit("error", report.unit)),
        list(shown),
        numbers=(1, 2, 3),
    )


def predictor_html(predictor: Predictor) -> str:
    """Show a predictor: what it predicts, from which modules, how well."""
    info = predictor.info
    weights = sorted(((w, name) for name, w in info.weights.items() if w > 0), reverse=True)
    rows: list[tuple[Child, ...]] = [
        (name, weight_text(weight), bar(weight)) for weight, name in weights[:SHOWN]
    ]
    shots = "" if info.shots is None else f", {info.shots} shots"
    return show(
        "Predictor",
        info.target.task,
        with_unit(info.target.property, info.target.unit),
        facts(
            ("made from", info.start),
            ("readout", str(info.readout.get("type", ""))),
            ("backbone", info.backbone),
            ("split", f"{info.split}{shots}, seed {info.seed}"),
        ),
        _metrics(info.metrics, info.target.unit),
        rows_table(("module", "weight", ""), rows, numbers=(1,), total=len(weights), what="module"),
        note(code("predictor.predict(structures)"), " or ", code("moma_app.predict(structures, predictor)")),
    )


def prediction_html(prediction: Prediction) -> str:
    """Show predictions: the first values with their standard deviations."""
    values = [float(value) for value in prediction.values[:SHOWN]]
    std = None if prediction.std is None else [float(value) for value in prediction.std[:SHOWN]]
    shown = column(values)
    rows = [
        (str(place), text, "" if std is None else f"± {number(std[place], 2)}")
        for place, text in enumerate(shown)
    ]
    return show(
        "Prediction",
        count(len(prediction.values), "structure"),
        f"in {prediction.unit}" if prediction.unit else "",
        rows_table(
            ("", "value", "std" if std else ""),
            rows,
            numbers=(1, 2),
            total=len(prediction.values),
            what="structure",
        ),
    )


def _metrics(metrics: dict[str, float], unit: str) -> Markup:
    mae, mad = metrics.get("mae"), metrics.get("mad")
    relative: Child = number(mae / mad) if mae is not None and mad else ""
    return facts(
        *(
            (name, with_unit_after(metrics[key], unit) if key in _WITH_UNIT else _plain(metrics[key]))
            for key, name in NAMES.items()
            if key in metrics
        ),
        ("MAE/MAD", relative),
    )


def _plain(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and value > 1 else number(value)


def _curve(report: FitReport) -> Markup:
    curve = report.curve
    if curve is None:
        return Markup()
    best = curve.epoch.index(report.best_epoch) if report.best_epoch in curve.epoch else None
    unit = "" if "accuracy" in report.metrics else report.unit
    label = f"error over {count(len(curve.epoch), 'epoch')}" + (
        ""
        if best is None
        else f", best {with_unit_after(curve.val_error[best], unit)} in epoch {report.best_epoch}"
    )
    lines = [curve.train_error, curve.val_error]
    return curves(lines, names=("train", "validation"), label=label, mark=best)
