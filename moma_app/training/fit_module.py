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

from moma_app.backbones.batching import MAX_ROWS, cost, evaluation_batches, training_batches
from moma_app.backbones.graphs import Batch, GraphSet
from moma_app.backbones.loader import Loader
from moma_app.errors import CancelledError, InputError, TrainingDivergedError
from moma_app.progress import EpochEnded, Listener, event_from_dict
from moma_app.training.losses import loss_of
from moma_app.training.model import PropertyModel, TargetScale
from moma_app.training.probe import batch_size
from moma_app.training.rates import parameter_groups
from moma_app.training.schedule import WarmupCosinePlateau
from moma_app.training.settings import FitConfig

EVALUATED = 256
"""Most validation structures that a process evaluates at once."""
DIVERGED = 1e3
"""A training error of so many standard deviations is divergence."""


@dataclass(frozen=True)
class Share:
    """The part of a batch that one process computes.

    Attributes:
        rows: positions, int64; never none, because all processes compute every batch together.
        weight: of the mean over these rows; the mean over all processes is then that of the batch.
    """

    rows: NDArray[np.int64]
    weight: float = 1.0

    @property
    def counted(self) -> int:
        """How many of the rows are this process' own."""
        return len(self.rows) if self.weight else 0


def share_of(batch: NDArray[np.int64], rank: int, world: int) -> Share:
    """Return what process ``rank`` of ``world`` computes of a batch.

    A process whose share is empty computes the batch's first row, with no weight.
    """
    own = batch[rank::world]
    if not len(own):
        return Share(batch[:1], 0.0)
    return Share(own, len(own) * world / len(batch))


@dataclass
class Sum:
    """Of an error over structures."""

    total: float = 0.0
    count: int = 0

    def add(self, mean: float, count: int) -> None:
        """Add the mean of so many structures; of none, nothing, whatever it is."""
        if count:
            self.total += mean * count
            self.count += count


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
        *,
        use_all: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.shared = shared
        self.use_all = use_all
        """Make every parameter part of every loss; a plain DDP waits for ever for one that is not."""
        self.schedule: WarmupCosinePlateau | None = None
        self.curve: list[EpochEnded] = []
        self._unsaid: EpochEnded | None = None
        self.agreed = False
        """Whether the error that ends the fit is raised in all of its processes."""
        self._loss = 0.0
        self._trained = Sum()
        self._validated = Sum()

    def _loader(self, batches: list[NDArray[np.int64]]) -> Loader[Share, Any]:
        """Return this process' shares: as many as the others have, so that none waits for another."""
        rank, world = self.global_rank, self.trainer.world_size
        return self.shared.loader([share_of(batch, rank, world) for batch in batches], self.device)

    def train_dataloader(self) -> Loader[Share, Any]:
        return self._loader(self.shared.batches(self.current_epoch))

    def val_dataloader(self) -> Loader[Share, Any]:
        world = self.trainer.world_size  # so many processes hold a batch together
        return self._loader(
            evaluation_batches(
                self.shared.data.val,
                self.shared.costs,
                max_structures=EVALUATED * world,
                max_rows=MAX_ROWS * world,
            )
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        config = self.shared.config
        steps = len(self.shared.batches(epoch=0)) * config.epochs
        self.schedule = self.schedule or WarmupCosinePlateau(
            total_steps=steps,
            warmup_steps=max(1, round(config.warmup * steps)),
            final_fraction=config.final_fraction,
            patience=config.plateau_patience,
        )
        return torch.optim.AdamW(parameter_groups(self.model, config))

    def on_train_start(self) -> None:
        own = [0.0] * self.trainer.world_size
        own[self.global_rank] = self.current_epoch
        epochs = self._over_processes(*own)
        if len(set(epochs)) > 1:
            self.agreed = True
            raise InputError(
                "The processes of a fit must see the same checkpoints, but their last epochs differ "
                f"({', '.join(f'{epoch:.0f}' for epoch in epochs)}): give a folder that all nodes share."
            )

    def on_train_epoch_start(self) -> None:
        self._trained = Sum()
        self._started = time.perf_counter()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout then depends on seed, epoch and batch alone, in a resumed fit as in an undisturbed one.
        part = (self.shared.config.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(hash(part) % 2**32)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        assert self.schedule is not None
        self.schedule.before_step(optimizer)

    def training_step(self, item: tuple[Batch, Tensor, Share], index: int) -> Tensor:
        batch, targets, share = item
        loss, error = self.shared.loss(self.model(batch), targets)
        loss = loss * share.weight  # the processes' gradients are averaged whatever their shares
        if self.use_all:
            loss = loss + 0.0 * sum(p.sum() for p in self.model.parameters() if p.requires_grad)
        self._loss = float(loss.detach())
        self._trained.add(error, share.counted)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Decided by all processes together: one that left alone would keep the others waiting.
        loss, stops = self._over_processes(self._loss / self.trainer.world_size, self._stop_wanted())
        if not math.isfinite(loss) or loss > DIVERGED:
            rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
            self.agreed = True
            raise TrainingDivergedError(
                f"Training diverged in epoch {self.current_epoch + 1} (loss {loss:.3g}) at a learning rate of "
                f"{rate:.2g}: use a smaller learning rate."
            )
        self._stop_if(stops)

    def on_validation_batch_end(
        self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        _, stops = self._over_processes(0.0, self._stop_wanted())
        self._stop_if(stops)

    def _stop_wanted(self) -> float:
        return float(self.shared.stop is not None and self.shared.stop())

    def _stop_if(self, stops: float) -> None:
        if stops:
            self.agreed = True
            raise CancelledError("The fit was stopped; it can be resumed from its last finished epoch.")

    def validation_step(self, item: tuple[Batch, Tensor, Share], index: int) -> None:
        batch, targets, share = item
        _, error = self.shared.loss(self.model(batch), targets)
        self._validated.add(error, share.counted)

    def on_validation_epoch_start(self) -> None:
        self._validated = Sum()

    def on_validation_epoch_end(self) -> None:
        # Lightning's own mean over processes rounds the number of rows of a process down.
        error, _ = self._mean(self._validated)
        self.log("val_error", error, batch_size=1, sync_dist=True)

    def transfer_batch_to_device(
        self, batch: tuple[Batch, Tensor, Share], device: torch.device, dataloader_idx: int
    ) -> tuple[Batch, Tensor, Share]:
        graphs, targets, share = batch
        return graphs.to(device), targets.to(device, non_blocking=True), share

    def end_epoch(self) -> None:
        """Record the epoch; called once training and validation of it are over."""
        assert self.schedule is not None
        val_error = float(self.trainer.callback_metrics["val_error"])
        if not math.isfinite(val_error):
            self.agreed = True  # the error is that of all validation rows
            raise TrainingDivergedError(
                f"The validation error became {val_error} in epoch {self.current_epoch + 1}: use a smaller "
                "learning rate."
            )
        self.schedule.after_epoch(val_error)
        seconds = time.perf_counter() - self._started
        train_error, count = self._mean(self._trained)
        event = EpochEnded(
            epoch=self.current_epoch + 1,
            epochs=self.shared.config.epochs,
            train_error=train_error,
            val_error=val_error,
            learning_rate=float(self.optimizers().param_groups[0]["lr"]),  # type: ignore[union-attr]
            seconds=seconds,
            structures_per_second=count / seconds,
            fraction=(self.current_epoch + 1) / self.shared.config.epochs,
        )
        self.curve.append(event)
        self._unsaid = event

    def _mean(self, values: Sum) -> tuple[float, float]:
        """Return the mean over the rows of all processes, and their number."""
        total, count = self._over_processes(values.total, values.count)
        return total / max(1.0, count), count

    def _over_processes(self, *values: float) -> list[float]:
        """Return the sums over all processes."""
        if self.trainer.world_size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(sums)  # without the barrier that Lightning puts before each
        result: list[float] = sums.tolist()
        return result

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
        self.edges = data.graphs.count("edge") if "edge" in data.graphs.schema.scopes else self.costs
        standardised = torch.from_numpy(np.asarray(data.targets, dtype=np.float64))
        self.targets = (
            standardised.long() if config.loss == "cross-entropy" else scale.standardise(standardised).float()
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the training batches of an epoch; the number differs little between epochs."""
        data, config = self.data, self.config
        return training_batches(
            data.train,
            self.costs,
            batch_size=batch_size(config, len(data.train)),
            seed=config.seed,
            epoch=epoch,
            probabilities=data.sampling,
            edges=None if config.batch_edges is None else self.edges,
            max_edges=config.batch_edges,
        )

    def loader(self, shares: list[Share], device: torch.device) -> Loader[Share, Any]:
        """Return a loader whose batches are slices of the packed graphs."""
        return Loader(shares, self.collate, _pinned, device)

    def collate(self, share: Share) -> tuple[Batch, Tensor, Share]:
        """Slice one share of a batch."""
        return self.data.graphs.batch(share.rows), self.targets[share.rows], share

    def loss(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, float]:
        """Return the loss, and the error in the task's unit for the record."""
        loss = loss_of(outputs, targets, self.config.loss)
        if self.config.loss == "cross-entropy":
            return loss, float(loss.detach())
        difference = outputs.detach().squeeze(1) - targets
        return loss, float(difference.abs().mean()) * self.scale.std


def _pinned(item: tuple[Batch, Tensor, Share]) -> tuple[Batch, Tensor, Share]:
    graphs, targets, share = item
    return graphs.pin_memory(), targets.pin_memory(), share


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
