"""What the events of a fine-tuning say so far: modules, epochs, the best one, how long it may still take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moma_app.plots.text import number, seconds_text, with_unit_after
from moma_app.progress import EpochEnded, Event, FitEnded, ModuleEncoded, RunChanged, WeightsSolved

if TYPE_CHECKING:
    from moma_app.tasks.specs import TaskSpec

RECENT = 5
"""Epochs whose mean time is taken for that of the next ones."""


@dataclass(frozen=True)
class About:
    """What is known of a run before it says anything.

    Attributes:
        unit: of the errors; empty for classes.
        epochs: that the fit has at most.
        classes: the task is a classification.
        modules: that AMC weighs first; empty for another start.
    """

    unit: str = ""
    epochs: int = 1
    classes: bool = False
    modules: tuple[str, ...] = ()


def about_fit(arguments: Mapping[str, Any], task: TaskSpec | None) -> About:
    """Return what is known of a fine-tuning from its arguments.

    Args:
        arguments: of the unit ``finetune``.
        task: what it is about; ``None`` if this machine does not know it.
    """
    classes = task is not None and task.kind == "classification"
    return About(
        unit="" if task is None or classes else task.unit,
        epochs=arguments["recipe"]["fit"]["epochs"],
        classes=classes,
        modules=tuple(arguments["amc"]["modules"] or ()) if arguments["start"] == "composed" else (),
    )


@dataclass
class FitProgress:
    """Grows with the events of a run, in order. A resumed run tells some of them again.

    Attributes:
        modules: last event of each module that has been encoded, by name.
        weights: of the composition; empty until they are known.
        epochs: epochs that have ended, in order.
        fit: the end of the fit, or ``None``.
        over: the run has ended.
    """

    modules: dict[str, ModuleEncoded] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    epochs: list[EpochEnded] = field(default_factory=list)
    fit: FitEnded | None = None
    over: bool = False

    def take(self, events: Iterable[Event]) -> None:
        """Take new events."""
        for event in events:
            match event:
                case ModuleEncoded():
                    self.modules[event.module] = event
                case WeightsSolved():
                    self.weights = event.weights
                case EpochEnded():
                    # An attempt that begins before the last epoch's end repeats some.
                    self.epochs = [*(e for e in self.epochs if e.epoch < event.epoch), event]
                    self.fit = None
                case FitEnded():
                    self.fit = event
                case RunChanged():
                    self.over = event.state not in ("queued", "running")

    @property
    def best(self) -> EpochEnded | None:
        """The epoch with the lowest validation error so far; the first of equal ones."""
        return min(self.epochs, key=lambda event: event.val_error, default=None)

    @property
    def seconds_left(self) -> float | None:
        """Time until the last epoch at the recent pace; early stopping can only make it less."""
        if not self.epochs or self.fit is not None or self.over:
            return None
        recent = self.epochs[-RECENT:]
        last = self.epochs[-1]
        return (last.epochs - last.epoch) * sum(event.seconds for event in recent) / len(recent)

    def facts(self, unit: str, *, classes: bool = False) -> dict[str, str]:
        """Return what to tell in numbers, by name; "–" for what is not known yet.

        Args:
            unit: of the errors.
            classes: the errors are log losses.
        """
        last, best, left = self.epochs[-1] if self.epochs else None, self.best, self.seconds_left
        best_name = "Best validation log loss" if classes else "Best validation MAE"
        return {
            "Epoch": "–"
            if last is None or best is None
            else f"{last.epoch} of {last.epochs} (best {best.epoch})",
            best_name: "–" if best is None else with_unit_after(best.val_error, unit),
            "Learning rate": "–" if last is None else f"{last.learning_rate:.2g}",
            "Throughput": "–" if last is None else f"{number(last.structures_per_second)} structures/s",
            "Time left": "–" if left is None else f"at most {seconds_text(left)}",
        }
