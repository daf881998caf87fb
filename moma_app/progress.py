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

    def describe(self) -> str:
        """Return the event in words, for a log or a plain terminal."""
        return self.kind


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """A counted piece of work has advanced: downloads, rows read, graphs built."""

    what: str
    done: int
    total: int

    def describe(self) -> str:
        """Return the counter in words."""
        return f"{self.what}: {self.done:,}/{self.total:,}"


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """Something the user should know but need not act on."""

    message: str

    def describe(self) -> str:
        """Return the message."""
        return self.message


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something was left out or replaced, and the result depends on it."""

    message: str

    def describe(self) -> str:
        """Return the message."""
        return self.message


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

    def describe(self) -> str:
        """Return module and error in words."""
        which = f"module {self.index + 1}/{self.total} {self.module}"
        return f"{which}: proxy MAE {self.proxy_mae:.4g} ({self.seconds:.1f} s)"


@dataclass(frozen=True, kw_only=True)
class WeightsSolved(Event):
    """The composition weights of AMC (Eq. 2-3) are known."""

    weights: dict[str, float]
    objective: float

    def describe(self) -> str:
        """Return the objective in words."""
        return f"weights solved, objective {self.objective:.4g}"


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

    def describe(self) -> str:
        """Return number and errors of the epoch in words."""
        errors = f"train {self.train_error:.4g}, val {self.val_error:.4g}"
        return f"epoch {self.epoch}/{self.epochs}: {errors} ({self.seconds:.1f} s)"


@dataclass(frozen=True, kw_only=True)
class FitEnded(Event):
    """A fit is over and its best weights are in place."""

    epochs: int
    best_epoch: int
    best_val_error: float
    reason: str
    seconds: float

    def describe(self) -> str:
        """Return why the fit ended, and its best epoch, in words."""
        return f"fit ended ({self.reason}); best epoch {self.best_epoch}, val {self.best_val_error:.4g}"


@dataclass(frozen=True, kw_only=True)
class RunChanged(Event):
    """A run has come into another state: queued, running, finished, failed, cancelled or interrupted.

    ``run`` is its id, where the listener may not know it.
    """

    state: str
    message: str = ""
    run: str = ""

    def describe(self) -> str:
        """Return the state in words."""
        if self.state == "queued" and not self.run:
            return self.message or "waiting for a worker"
        which = f"run {self.run[:8]}" if self.run else "run"
        return f"{which} {self.state}" + (f": {self.message}" if self.message else "")


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
