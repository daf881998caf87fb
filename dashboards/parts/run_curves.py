"""Learning curves of runs: from the result of one that has finished, from the events of one that has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboards.components.figure import Draw
from dashboards.parts.run_words import unit_of_task
from dashboards.services import get_jobs
from moma_app.errors import DataNotFoundError
from moma_app.jobs.states import SHORT
from moma_app.progress import EpochEnded, Event

if TYPE_CHECKING:
    from moma_app.jobs.record import Record
    from moma_app.plots.payloads import CurveSeries


@dataclass(frozen=True)
class RunCurve:
    """A learning curve with what its errors are in."""

    series: CurveSeries
    unit: str
    classes: bool = False


def curve_of_result(result: Mapping[str, Any], label: str) -> RunCurve | None:
    """Return the learning curve in what a unit of work returned: a fit's, or that on a module's card."""
    from moma_app.plots.card_curve import series_of_card, series_of_fit

    if result.get("fit"):
        from moma_app.training.outcome import FitReport

        fit = FitReport.from_dict(result["fit"])
        found = series_of_fit(fit, label)
        return None if found is None else RunCurve(found, fit.unit, "accuracy" in fit.metrics)
    if result.get("card"):
        from moma_app.hub.card import Card

        card = Card.model_validate(result["card"])
        found = series_of_card(card, label)
        target = card.target
        return None if found is None else RunCurve(found, target.unit, target.kind == "classification")
    return None


def curve_of_events(events: Iterable[Event], task: str, label: str) -> RunCurve | None:
    """Return the learning curve that a run has told so far."""
    from moma_app.plots.card_curve import series_of_epochs

    found = series_of_epochs([event for event in events if isinstance(event, EpochEnded)], label)
    unit = unit_of_task(task)
    return None if found is None else RunCurve(found, unit, not unit and is_classification(task))


def curve_of_run(record: Record) -> RunCurve | None:
    """Return a run's learning curve; ``None`` if it is no fit."""
    from moma_app.jobs.events import EVENTS, read

    label = f"{record.id[:SHORT]} {record.name}"
    jobs = get_jobs()
    if record.state == "finished":
        try:
            return curve_of_result(jobs.result(record.id), label)
        except DataNotFoundError:
            return None
    return curve_of_events(
        [entry.event for entry in read(jobs.folder(record.id) / EVENTS)], record.task, label
    )


def is_classification(task: str) -> bool:
    """Say whether a task has classes; a task that is gone has not."""
    from moma_app.errors import MomaError
    from moma_app.tasks import get_task

    try:
        return get_task(task).spec.kind == "classification"
    except MomaError:
        return False


def by_axis(curves: Sequence[RunCurve]) -> list[list[RunCurve]]:
    """Return the curves that can share an axis, together."""
    groups: dict[tuple[str, bool], list[RunCurve]] = {}
    for curve in curves:
        groups.setdefault((curve.unit, curve.classes), []).append(curve)
    return list(groups.values())


def drawing(curves: Sequence[RunCurve]) -> Draw:
    """Return what draws curves that share an axis, one at least."""

    def draw(mode: Any) -> Any:
        from moma_app.plots.card_curve import series_curves

        series = [curve.series for curve in curves]
        return series_curves(series, curves[0].unit, classes=curves[0].classes, mode=mode)

    return draw
