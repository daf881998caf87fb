"""Learning rate: linear warm-up, cosine decay, and a further cut when validation stalls."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch.optim import Optimizer


@dataclass
class WarmupCosinePlateau:
    """Sets the learning rate of every parameter group before each step.

    Each group's ``initial_lr`` is multiplied by warm-up or cosine, and by ``plateau_factor`` for
    every ``patience`` epochs without improvement of the validation error.

    Attributes:
        total_steps: steps of the whole fit.
        warmup_steps: steps of linear increase from zero.
        final_fraction: what the cosine ends at.
        patience: epochs without improvement before a cut.
        plateau_factor: the cut.
    """

    total_steps: int
    warmup_steps: int
    final_fraction: float = 0.01
    patience: int = 5
    plateau_factor: float = 0.5
    step: int = 0
    scale: float = 1.0
    best: float = math.inf
    stalled: int = 0

    def factor(self, step: int) -> float:
        """Return the factor of warm-up and cosine at a step."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        span = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / span)
        return self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + math.cos(math.pi * progress))

    def before_step(self, optimizer: Optimizer) -> None:
        """Set the learning rates of the coming step."""
        factor = self.factor(self.step) * self.scale
        for parameters in optimizer.param_groups:
            parameters["lr"] = parameters["initial_lr"] * factor
        self.step += 1

    def after_epoch(self, val_error: float) -> None:
        """Take note of the validation error."""
        if val_error < self.best:
            self.best, self.stalled = val_error, 0
            return
        self.stalled += 1
        if self.stalled >= self.patience:
            self.scale *= self.plateau_factor
            self.stalled = 0

    def state_dict(self) -> dict[str, Any]:
        """Return all values, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        for name, value in state.items():
            setattr(self, name, value)
