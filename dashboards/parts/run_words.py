"""A run in words: state, kind, time, main metric, and the page that shows runs of its kind."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from moma_app.errors import MomaError
from moma_app.jobs.record import Record
from moma_app.jobs.states import State
from moma_app.plots.text import number, seconds_text, with_unit
from moma_app.work.headline import main_metric

SIGNS: dict[State, str] = {
    "queued": "…",
    "running": "▶",
    "finished": "✓",
    "failed": "✗",
    "cancelled": "■",
    "interrupted": "‖",
}
"""Signs that stand beside the words, so that a list is read at a glance, without colours."""
PAGE_OF_UNIT = {"compose": "compose", "finetune": "finetune", "predict": "predict", "train-module": "hub"}
"""Pages that show a run of a kind better than a list does."""
_KINDS = {
    "cell": "experiment cell",
    "compose": "compose",
    "encode": "encode",
    "finetune": "fine-tune",
    "predict": "predict",
    "train-module": "train module",
}
_ERRORS = frozenset({"mae", "rmse", "mad"})
"""Last parts of the names of metrics that are in the target's unit."""


def kind_of(unit: str) -> str:
    """Return a unit of work as people say it."""
    return _KINDS.get(unit, unit)


def state_text(record: Record) -> str:
    """Return a run's state with its sign, and how far it is."""
    text = f"{SIGNS[record.state]} {record.state}"
    if record.state == "running" and record.fraction is not None:
        text += f" {100 * record.fraction:.0f} %"
    return text


def metric_text(record: Record) -> str:
    """Return a run's main metric with its unit: ``MAE 0.0312 eV/atom``; empty if it has none."""
    found = main_metric(record.metrics)
    if found is None:
        return ""
    name, value = found
    return f"{metric_name(name)} {number(value)} {unit_of_metric(name, record.task)}".rstrip()


def metric_name(name: str) -> str:
    """Return a metric as people say it: ``MAE`` for ``test_mae``, ``validation error`` for ``val_error``."""
    words = name.removeprefix("test_").replace("val_", "validation ").replace("_", " ")
    return words.upper() if words in _ERRORS else "R²" if words == "r2" else words


def metric_label(name: str, task: str) -> str:
    """Return a metric's own name with its unit."""
    return with_unit(name, unit_of_metric(name, task))


def unit_of_metric(name: str, task: str) -> str:
    """Return the unit of a metric of a run on a task; empty if it has none or is not known."""
    is_error = bool(_ERRORS & set(name.split("_"))) or name in ("val_error", "train_error")
    return unit_of_task(task) if is_error else ""


def value_text(value: float) -> str:
    """Return a metric's value; a count has no decimals."""
    return f"{value:,.0f}" if value == round(value) and abs(value) >= 2 else number(value, 4)


@lru_cache(maxsize=1024)
def unit_of_task(task: str) -> str:
    """Return a task's unit; empty for classes, and for a task that is gone."""
    from moma_app.tasks import get_task

    try:
        spec = get_task(task).spec
    except MomaError:
        return ""
    return spec.unit if spec.kind == "regression" else ""


def when(seconds: float | None) -> str:
    """Return a time of this machine's clock; empty for none."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(record: Record) -> str:
    """Return how long a run took, or has been going on."""
    return "" if record.seconds is None else seconds_text(record.seconds)
