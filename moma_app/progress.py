"""One stream of typed progress events, from any work to any face.

Work never prints. It calls a ``Listener`` with events; the CLI draws a bar from them, the
dashboard a live chart, a notebook a widget. ``fraction`` is the share of the whole unit of
work that is done, in [0, 1], where it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all progress events."""

    fraction: float | None = None

    @property
    def kind(self) -> str:
        """Name of the event type, as used in its JSON form."""
        return type(self).__name__

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form that names the event's type."""
        return {"event": self.kind, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """A counted piece of work has advanced: downloads, rows read, graphs built."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """Something the user should know but need not act on."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something was left out or replaced, and the result depends on it."""

    message: str


@dataclass(frozen=True, kw_only=True)
class ModuleEncoded(Event):
    """One module has encoded the training rows and its kNN proxy error is known.

    ``proxy_mae`` is in the task's unit, ``proxy_mae_standardised`` in standard deviations
    of the training targets.
    """

    module: str
    index: int
    total: int
    proxy_mae: float
    proxy_mae_standardised: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class WeightsSolved(Event):
    """The composition weights of AMC (Eq. 2-3) are known."""

    weights: dict[str, float]
    objective: float


@dataclass(frozen=True, kw_only=True)
class EpochEnded(Event):
    """One epoch of a fit has ended; errors are MAE in the task's unit (log loss for classes)."""

    epoch: int
    epochs: int
    train_error: float
    val_error: float
    learning_rate: float
    seconds: float
    structures_per_second: float


@dataclass(frozen=True, kw_only=True)
class FitEnded(Event):
    """A fit is over and its best weights are in place."""

    epochs: int
    best_epoch: int
    best_val_error: float
    reason: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunChanged(Event):
    """A run has come into another state: queued, running, finished, failed, cancelled or interrupted."""

    state: str
    message: str = ""


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listen to nothing: the default of every piece of work."""


EVENT_TYPES: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (Step, Note, Warned, ModuleEncoded, WeightsSolved, EpochEnded, FitEnded, RunChanged)
}


def event_from_dict(data: dict[str, Any]) -> Event:
    """Rebuild an event from :meth:`Event.to_dict`.

    Raises:
        KeyError: the dictionary names no known event type.
        TypeError: a field is unknown to that type or missing.
    """
    values = dict(data)
    cls = EVENT_TYPES[values.pop("event")]
    unknown = set(values) - {f.name for f in fields(cls)}
    if unknown:
        raise TypeError(f"{cls.__name__} has no field {sorted(unknown)}")
    return cls(**values)
