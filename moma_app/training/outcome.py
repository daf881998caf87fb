"""What a fine-tuning gave, as plain values that figures, reports and JSON take as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Curve:
    """Learning curve of a fit; errors in the task's unit (log loss for classes)."""

    epoch: list[int]
    train_error: list[float]
    val_error: list[float]
    learning_rate: list[float]


@dataclass(frozen=True)
class FitReport:
    """A fitted predictor's errors and test predictions.

    Attributes:
        label: what it started from, in words ("composed module", "bare backbone").
        start: ``composed``, ``backbone``, ``scratch``, a module's name, or ``instant``.
        task, property, unit: the task.
        split, shots, seed: which rows.
        metrics: of the test rows: ``mae``, ``rmse``, ``r2``, ``mad``, ``n`` (``accuracy``,
            ``macro_f1`` for classes), ``coverage90`` where predictions have uncertainties.
        ids, targets, predicted: the test rows.
        std: standard deviations of the predictions, or ``None``.
        curve: learning curve, or ``None`` for an instant predictor.
        best_epoch: whose weights were kept, or ``None``.
        seconds: wall time of the fit.
        hardware: what it ran on.
        config: settings that made it.
    """

    label: str
    start: str
    task: str
    property: str
    unit: str
    split: int
    shots: int | None
    seed: int
    metrics: dict[str, float]
    ids: list[str]
    targets: list[float]
    predicted: list[float]
    std: list[float] | None = None
    curve: Curve | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    hardware: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FitReport:
        """Rebuild a report from :meth:`to_dict`."""
        curve = data["curve"]
        return cls(**{**data, "curve": None if curve is None else Curve(**curve)})
