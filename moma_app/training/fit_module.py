"""Lightning's view of a fit: batches, steps, the record of each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning as L  # noqa: N812
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.batching import cost, evaluation_batches, training_batches
from moma_app.backbones.graphs import Batch, GraphSet
from moma_app.backbones.loader import Loader
from moma_app.errors import CancelledError, TrainingDivergedError
from moma_app.progress import EpochEnded, Listener, event_from_dict
from moma_app.training.losses import loss_of
from moma_app.training.model import PropertyModel, TargetScale
from moma_app.training.probe import batch_size
from moma_app.training.schedule import WarmupCosinePlateau
from moma_app.training.settings import FitConfig

DIVERGED = 1e3
"""A training error of so many standard deviations is divergence."""


@dataclass(frozen=True)
class FitData:
    """Graphs with targets and the rows that train and validate.

    Attributes:
        graphs: of all rows.
        targets: in the task's unit (class indices for classification), float64 [n].
        train, val: positions, int64.
        sampling: probability of each train row in an epoch, or ``None`` for every row once.
    """

    graphs: GraphSet
    targets: NDArray[np.float64]
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    sampling: NDArray[np.float64] | None = None


class FitModule(L.LightningModule):
    """Lightning's view of a fit. Data stays outside of it, so that the EMA does not copy it."""

    def __init__(
        self,
        model: PropertyModel,
        shared: Shared,
    ) -> None:
        super().__init__()
        self.model = model
        self.shared = shared
        self.schedule: WarmupCosinePlateau | None = None
        self.curve: list[EpochEnded] = []
        self._unsaid: EpochEnded | None = None
        self._sum = 0.0
        self._count = 0

    def train_dataloader(self) -> Loader[Any, Any]:
        shared = self.shared
        batches = training_batches(
            shared.data.train,
            shared.costs,
            batch_size=batch_size(shared.config, len(shared.data.train)),
            seed=shared.config.seed,
            epoch=self.current_epoch,
            probabilities=shared.data.sampling,
        )
        # Every process has a part of every batch, and the same number of batches. A batch with fewer
        # structures than processes would leave one without work; its rows wait for the next epoch.
        rank, world = self.global_rank, self.trainer.world_size
        return shared.loader([batch[rank::world] for batch in batches if len(batch) >= world], self.device)

    def val_dataloader(self) -> Loader[Any, Any]:
        batches = evaluation_batches(self.shared.data.val, self.shared.costs)
        rank, world = self.global_rank, self.trainer.world_size
        if world > 1 and len(batches) < world:
            batches = [np.array([row]) for row in self.shared.data.val]
        return self.shared.loader(batches[rank::world], self.device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        config = self.shared.config
        groups: list[dict[str, Any]] = []
        head_rate = config.joint_head_learning_rate if config.head_epochs else config.head_learning_rate
        for part, rate in ((self.model.network, config.learning_rate), (self.model.head, head_rate)):
            chosen = [p for p in part.parameters() if p.requires_grad]
            matrices = [p for p in chosen if p.ndim > 1]
            vectors = [p for p in chosen if p.ndim <= 1]
            for parameters, decay in ((matrices, config.weight_decay), (vectors, 0.0)):
                if parameters:
                    groups.append(
                        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay}
                    )
        rows = len(self.shared.data.train)
        steps = math.ceil(rows / batch_size(config, rows)) * config.epochs
        self.schedule = self.schedule or WarmupCosinePlateau(
            total_steps=steps,
            warmup_steps=max(1, round(config.warmup * steps)),
            final_fraction=config.final_fraction,
            patience=config.plateau_patience,
        )
        return torch.optim.AdamW(groups)

    def on_train_epoch_start(self) -> None:
        self._sum, self._count = 0.0, 0
        self._started = time.perf_counter()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout then depends on seed, epoch and batch alone, in a resumed fit as in an undisturbed one.
        part = (self.shared.config.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(hash(part) % 2**32)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        assert self.schedule is not None
        self.schedule.before_step(optimizer)

    def training_step(self, item: tuple[Batch, Tensor], index: int) -> Tensor:
        batch, targets = item
        loss, error = self.shared.loss(self.model(batch), targets)
        value = float(loss.detach())
        if not math.isfinite(value) or value > DIVERGED:
            rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
            raise TrainingDivergedError(
                f"Training diverged in epoch {self.current_epoch + 1} (loss {value:.3g}) at a learning rate of "
                f"{rate:.2g}: use a smaller learning rate."
            )
        self._sum += error * len(targets)
        self._count += len(targets)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.shared.stop is not None and self.shared.stop():
            raise CancelledError("The fit was stopped; it can be resumed from its last finished epoch.")

    def validation_step(self, item: tuple[Batch, Tensor], index: int) -> None:
        batch, targets = item
        _, error = self.shared.loss(self.model(batch), targets)
        self.log("val_error", error, on_epoch=True, batch_size=len(targets), sync_dist=True)

    def transfer_batch_to_device(
        self, batch: tuple[Batch, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Batch, Tensor]:
        graphs, targets = batch
        return graphs.to(device), targets.to(device, non_blocking=True)

    def end_epoch(self) -> None:
        """Record the epoch; called once training and validation of it are over."""
        assert self.schedule is not None
        val_error = float(self.trainer.callback_metrics["val_error"])
        if not math.isfinite(val_error):
            raise TrainingDivergedError(
                f"The validation error became {val_error} in epoch {self.current_epoch + 1}: use a smaller "
                "learning rate."
            )
        self.schedule.after_epoch(val_error)
        seconds = time.perf_counter() - self._started
        sums = torch.tensor([self._sum, float(self._count)], dtype=torch.float64, device=self.device)
        total, count = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        event = EpochEnded(
            epoch=self.current_epoch + 1,
            epochs=self.shared.config.epochs,
            train_error=total / max(1, count),
            val_error=val_error,
            learning_rate=float(self.optimizers().param_groups[0]["lr"]),  # type: ignore[union-attr]
            seconds=seconds,
            structures_per_second=count / seconds,
            fraction=(self.current_epoch + 1) / self.shared.config.epochs,
        )
        self.curve.append(event)
        self._unsaid = event

    def announce(self) -> None:
        """Tell the listener of the epoch that has ended, once."""
        if self._unsaid is not None and self.trainer.is_global_zero:
            self.shared.progress(self._unsaid)
        self._unsaid = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        assert self.schedule is not None
        checkpoint["schedule"] = self.schedule.state_dict()
        checkpoint["curve"] = [event.to_dict() for event in self.curve]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.configure_optimizers()
        assert self.schedule is not None
        self.schedule.load_state_dict(checkpoint["schedule"])
        events = [event_from_dict(entry) for entry in checkpoint["curve"]]
        self.curve = [event for event in events if isinstance(event, EpochEnded)]


class Shared:
    """What a fit only reads: a plain object, which ``AveragedModel`` copies by reference."""

    def __init__(
        self,
        data: FitData,
        scale: TargetScale,
        config: FitConfig,
        *,
        progress: Listener,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.data = data
        self.scale = scale
        self.config = config
        self.progress = progress
        self.stop = stop
        self.costs = cost(data.graphs)
        standardised = torch.from_numpy(np.asarray(data.targets, dtype=np.float64))
        self.targets = (
            standardised.long() if config.loss == "cross-entropy" else scale.standardise(standardised).float()
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self

    def loader(self, batches: list[NDArray[np.int64]], device: torch.device) -> Loader[Any, Any]:
        """Return a loader whose batches are slices of the packed graphs."""
        return Loader(batches, self.collate, _pinned, device)

    def collate(self, indices: NDArray[np.int64]) -> tuple[Batch, Tensor]:
        """Slice one batch."""
        return self.data.graphs.batch(indices), self.targets[indices]

    def loss(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, float]:
        """Return the loss, and the error in the task's unit for the record."""
        loss = loss_of(outputs, targets, self.config.loss)
        if self.config.loss == "cross-entropy":
            return loss, float(loss.detach())
        difference = outputs.detach().squeeze(1) - targets
        return loss, float(difference.abs().mean()) * self.scale.std


def _pinned(item: tuple[Batch, Tensor]) -> tuple[Batch, Tensor]:
    graphs, targets = item
    return graphs.pin_memory(), targets.pin_memory()


class EndOfEpoch(Callback):
    """Ends an epoch before checkpoints are written, so that they hold its record."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, FitModule)
        pl_module.end_epoch()


class Announce(Checkpoint):
    """Tells of an epoch after its checkpoint is written: whoever hears of it can rely on it.

    Lightning calls callbacks of this type last, in the order of the list.
    """

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, FitModule)
        pl_module.announce()
