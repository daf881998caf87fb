"""What a fine-tuning gave, as plain values that figures, reports and JSON take as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from moma_app.text import brief, count, number, shorten, with_unit_after

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Curve:
    """Learning curve of a fit; errors in the task's unit (log loss for classes)."""

    epoch: list[int]
    train_error: list[float]
    val_error: list[float]
    learning_rate: list[float]

    def __repr__(self) -> str:
        return brief(self, f"of {count(len(self.epoch), 'epoch')}")

    def to_dataframe(self) -> pd.DataFrame:
        """Return a line for each epoch: ``epoch``, ``train_error``, ``val_error``, ``learning_rate``."""
        import pandas as pd

        return pd.DataFrame(asdict(self))


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

    def __repr__(self) -> str:
        mae = self.metrics.get("mae")
        accuracy = self.metrics.get("accuracy")
        error = "" if mae is None else f", test MAE {with_unit_after(mae, self.unit)}"
        error = error if accuracy is None else f", test accuracy {number(accuracy)}"
        return brief(self, f"{shorten(self.task, 50)}: {shorten(self.label, 50)}, split {self.split}{error}")

    def _repr_html_(self) -> str:
        from moma_app.training.display import report_html

        return report_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a line for each test row: ``id``, ``target``, ``predicted``, ``error`` and, where known, ``std``.

        The error is the prediction minus the target. The frame's ``attrs`` have ``task``, ``property``,
        ``unit`` and ``start``.
        """
        import pandas as pd

        table = pd.DataFrame({"id": self.ids, "target": self.targets, "predicted": self.predicted})
        table["error"] = table["predicted"] - table["target"]
        if self.std is not None:
            table["std"] = self.std
        table.attrs = {
            "task": self.task,
            "property": self.property,
            "unit": self.unit,
            "start": self.start,
        }
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FitReport:
        """Rebuild a report from :meth:`to_dict`."""
        curve = data["curve"]
        return cls(**{**data, "curve": None if curve is None else Curve(**curve)})
