"""The fit loop, on Lightning: MAE on standardised targets, AdamW, EMA, early stopping, resume."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L  # noqa: N812
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from moma_app.backbones.adapters import freeze_all_but_adapters
from moma_app.backbones.batching import cost, evaluation_batches, training_batches
from moma_app.backbones.graphs import Batch, GraphSet
from moma_app.errors import CancelledError, InputError, TrainingDivergedError
from moma_app.progress import EpochEnded, FitEnded, Listener, silent
from moma_app.runtime import pick_device, prepare, seed_everything
from moma_app.training.losses import loss_of
from moma_app.training.model import PropertyModel, TargetScale
from moma_app.training.probe import batch_size
from moma_app.training.schedule import WarmupCosinePlateau
from moma_app.training.settings import FitConfig, Trainable

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


@dataclass(frozen=True)
class FitResult:
    """What a fit gave.

    Attributes:
        curve: one record per epoch.
        best_epoch: whose weights were kept, counted from 1.
        best_val_error: its validation MAE in the task's unit (log loss for classes).
        reason: why the fit ended.
        seconds: wall time.
        trainable_parameters, total_parameters: counts.
    """

    curve: tuple[EpochEnded, ...]
    best_epoch: int
    best_val_error: float
    reason: str
    seconds: float
    trainable_parameters: int
    total_parameters: int


def fit(
    model: PropertyModel,
    data: FitData,
    scale: TargetScale,
    config: FitConfig,
    folder: Path,
    *,
    device: str = "auto",
    devices: int | None = None,
    resume: bool = False,
    progress: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train ``model`` in place and leave its best weights in it.

    On several GPUs each process gets its share of every batch (Lightning's DDP), so that the
    batch size and the result are those of one. Lightning starts the other processes by running
    the same command again; they end here, with ``SystemExit(0)``, and the first goes on.

    Args:
        model: network and head; the head's scaler is already fitted.
        data: graphs, targets and rows.
        scale: of the training targets.
        config: how to train.
        folder: for checkpoints, one after each epoch.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: number of processes, one for each GPU; by default all GPUs, or one CPU process.
        resume: continue from the last checkpoint in ``folder``, if there is one.
        progress: gets one ``EpochEnded`` per epoch.
        stop: asked after every batch; ``True`` ends the fit with ``CancelledError``.

    Raises:
        TrainingDivergedError: the loss became NaN or grew without bound.
        CancelledError: ``stop`` said so; the last checkpoint stays.
        InputError: no training or validation rows.
    """
    if not len(data.train) or not len(data.val):
        raise InputError("A fit needs at least one training and one validation row.")
    target_device = pick_device(device)
    prepare()
    seed_everything(config.seed)
    if not resume:
        for old in folder.glob("*.ckpt"):
            old.unlink()
    choose_trainable(model, config.trainable)
    task = _FitModule(model, _Shared(data, scale, config, progress=progress, stop=stop))
    best = ModelCheckpoint(
        dirpath=folder, filename="best", monitor="val_error", save_last=True, enable_version_counter=False
    )
    early = EarlyStopping("val_error", patience=config.early_stopping, check_finite=False)
    n_devices = devices or (torch.cuda.device_count() if target_device.type == "cuda" else 1)
    started = time.perf_counter()
    with _quiet_lightning():
        trainer = L.Trainer(
            accelerator={"cuda": "gpu"}.get(target_device.type, target_device.type),
            devices=n_devices,
            # A share of a batch may lack what a layer acts on: no bond under 3 Å, so no angle.
            strategy="ddp_find_unused_parameters_true" if n_devices > 1 else "auto",
            precision=_precision(config, target_device),
            use_distributed_sampler=False,  # batches are dealt out to the processes below
            max_epochs=config.epochs,
            callbacks=[
                WeightAveraging(use_buffers=False, avg_fn=rising_average(config.ema_decay)),
                best,
                early,
                _Report(),
            ],
            gradient_clip_val=config.gradient_clip,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            log_every_n_steps=1,
        )
        last = folder / "last.ckpt"
        model.train()
        trainer.fit(task, ckpt_path=str(last) if resume and last.is_file() else None, weights_only=True)
    if not trainer.is_global_zero:
        raise SystemExit(0)
    checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    model.load_state_dict(
        {name.removeprefix("model."): tensor for name, tensor in checkpoint["state_dict"].items()}
    )
    model.to("cpu").eval()
    stopped = early.stopped_epoch > 0
    result = FitResult(
        curve=tuple(task.curve),
        best_epoch=int(checkpoint["epoch"]) + 1,
        best_val_error=float(best.best_model_score or math.nan),
        reason=f"no improvement for {config.early_stopping} epochs" if stopped else "all epochs done",
        seconds=time.perf_counter() - started,
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        total_parameters=sum(p.numel() for p in model.parameters()),
    )
    progress(
        FitEnded(
            epochs=len(result.curve),
            best_epoch=result.best_epoch,
            best_val_error=result.best_val_error,
            reason=result.reason,
            seconds=result.seconds,
            fraction=1.0,
        )
    )
    return result


def rising_average(decay: float) -> Callable[[Tensor, Tensor, int | Tensor], Tensor]:
    """Return an exponential moving average whose decay rises from 0.1 to ``decay`` with the steps.

    With a constant decay the average of a short fit would hardly leave the starting weights.
    """

    def average(averaged: Tensor, current: Tensor, count: int | Tensor) -> Tensor:
        present = min(decay, (1 + float(count)) / (10 + float(count)))
        return torch.lerp(current, averaged, present)

    return average


def _precision(config: FitConfig, device: torch.device) -> Literal["32-true", "bf16-mixed"]:
    if config.precision == "auto":
        return "bf16-mixed" if device.type == "cuda" else "32-true"
    return config.precision


def choose_trainable(model: PropertyModel, trainable: Trainable) -> None:
    """Set which parameters train; constants of the basis functions never do.

    Those few frequencies stay as pre-trained, so that all modules of a backbone share the bases
    and graphs are expanded once for all of them.
    """
    model.requires_grad_(requires_grad=True)
    if trainable == "adapter":
        freeze_all_but_adapters(model.network)
    elif trainable == "head":
        model.network.requires_grad_(requires_grad=False)
    fixed = set(getattr(model.network, "fixed", ()))
    for name, parameter in model.network.named_parameters():
        if name in fixed:
            parameter.requires_grad = False


class _FitModule(L.LightningModule):
    """Lightning's view of a fit. Data stays outside of it, so that the EMA does not copy it."""

    def __init__(
        self,
        model: PropertyModel,
        shared: _Shared,
    ) -> None:
        super().__init__()
        self.model = model
        self.shared = shared
        self.schedule: WarmupCosinePlateau | None = None
        self.curve: list[EpochEnded] = []
        self._sum = 0.0
        self._count = 0

    def train_dataloader(self) -> DataLoader[Any]:
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
        return shared.loader([batch[rank::world] for batch in batches if len(batch) >= world])

    def val_dataloader(self) -> DataLoader[Any]:
        batches = evaluation_batches(self.shared.data.val, self.shared.costs)
        rank, world = self.global_rank, self.trainer.world_size
        if world > 1 and len(batches) < world:
            batches = [np.array([row]) for row in self.shared.data.val]
        return self.shared.loader(batches[rank::world])

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
        if self.trainer.is_global_zero:
            self.shared.progress(event)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        assert self.schedule is not None
        checkpoint["schedule"] = self.schedule.state_dict()
        checkpoint["curve"] = [event.to_dict() for event in self.curve]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        from moma_app.progress import event_from_dict

        self.configure_optimizers()
        assert self.schedule is not None
        self.schedule.load_state_dict(checkpoint["schedule"])
        events = [event_from_dict(entry) for entry in checkpoint["curve"]]
        self.curve = [event for event in events if isinstance(event, EpochEnded)]


class _Shared:
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

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self

    def loader(self, batches: list[NDArray[np.int64]]) -> DataLoader[Any]:
        """Return a loader whose batches are slices of the packed graphs."""
        return DataLoader(
            range(len(self.data.graphs)),  # type: ignore[arg-type]
            batch_sampler=[batch.tolist() for batch in batches],
            collate_fn=self.collate,
        )

    def collate(self, indices: list[int]) -> tuple[Batch, Tensor]:
        """Slice one batch."""
        return self.data.graphs.batch(indices), self.targets[indices]

    def loss(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, float]:
        """Return the loss, and the error in the task's unit for the record."""
        loss = loss_of(outputs, targets, self.config.loss)
        if self.config.loss == "cross-entropy":
            return loss, float(loss.detach())
        difference = outputs.detach().squeeze(1) - targets
        return loss, float(difference.abs().mean()) * self.scale.std


class _Report(Callback):
    """Ends an epoch before checkpoints are written, so that they hold its record."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, _FitModule)
        pl_module.end_epoch()


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence what Lightning prints about itself; our events say what users need."""
    names = ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning.fabric")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for pattern in (".*num_workers.*", ".*Checkpoint directory.*", ".*LeafSpec.*", ".*TreeSpec.*"):
                warnings.filterwarnings("ignore", message=pattern)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
