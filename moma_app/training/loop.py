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
from typing import Literal

import lightning as L  # noqa: N812
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor

from moma_app.backbones.adapters import freeze_all_but_adapters
from moma_app.choices import Precision
from moma_app.errors import InputError, MomaError
from moma_app.progress import EpochEnded, FitEnded, Listener, Note, silent
from moma_app.runtime import arithmetic, pick_device, prepare, seed_everything
from moma_app.training.fit_module import Announce, EndOfEpoch, FitData, FitModule, Shared
from moma_app.training.frozen import with_frozen_features
from moma_app.training.model import PropertyModel, TargetScale
from moma_app.training.parallel import Layout, Parallel, layout, only_first, process_rank
from moma_app.training.processes import parting, surroundings
from moma_app.training.settings import FitConfig, Trainable


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
        processes: how many shared the fit.
    """

    curve: tuple[EpochEnded, ...]
    best_epoch: int
    best_val_error: float
    reason: str
    seconds: float
    trainable_parameters: int
    total_parameters: int
    processes: int = 1


def fit(
    model: PropertyModel,
    data: FitData,
    scale: TargetScale,
    config: FitConfig,
    folder: Path,
    *,
    device: str = "auto",
    parallel: Parallel | None = None,
    resume: bool = False,
    progress: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train ``model`` in place and leave its best weights in it.

    Several processes, one for each GPU, can share the fit (Lightning's DDP). Each gets its share of
    every batch, so that the batch size and the result are those of one process, to rounding (and
    but for dropout and batch normalisation, which act on each share). ``torchrun`` or Slurm starts
    the processes, or Lightning does, by running the same command again. The first process goes
    on after the fit; the others end in it, with ``SystemExit(0)``, also where the first gets a
    ``TrainingDivergedError`` or ``CancelledError``.

    Args:
        model: network and head; the head's scaler is already fitted.
        data: graphs, targets and rows.
        scale: of the training targets.
        config: how to train.
        folder: for checkpoints, one after each epoch; the first process writes them, and to
            resume all must see them.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        parallel: processes that share the fit; by default those that a launcher has started, else
            one for each GPU, or one on a CPU.
        resume: continue from the last checkpoint in ``folder``, if there is one.
        progress: gets one ``EpochEnded`` per epoch, in the first process.
        stop: asked after every batch; ``True`` ends the fit with ``CancelledError``. The word of one
            process is enough.

    Raises:
        TrainingDivergedError: the loss became NaN or grew without bound.
        CancelledError: ``stop`` said so; the last checkpoint stays.
        InputError: no training or validation rows, or processes that cannot be had, see
            :func:`moma_app.training.parallel.layout`.
    """
    if not len(data.train) or not len(data.val):
        raise InputError("A fit needs at least one training and one validation row.")
    target_device = pick_device(device)
    processes = layout(parallel, target_device)
    target_device = processes.device(target_device)
    first = processes.processes == 1 or process_rank() == 0
    prepare()
    seed_everything(config.seed)
    if first and processes.note:
        progress(Note(message=processes.note))
    if first and not resume:
        for old in folder.glob("*.ckpt"):
            old.unlink()
    choose_trainable(model, config.trainable)
    data = with_frozen_features(model, data, config.trainable, target_device, only_first(progress))
    shared = Shared(data, scale, config, progress=progress, stop=stop)
    task = FitModule(model, shared, use_all=not processes.finds_unused)
    best = ModelCheckpoint(dirpath=folder, filename="best", monitor="val_error", enable_version_counter=False)
    # After every epoch, better or not; listed after ``best``, whose state it holds.
    every = ModelCheckpoint(dirpath=folder, filename="last", enable_version_counter=False)
    early = EarlyStopping("val_error", patience=config.early_stopping, check_finite=False)
    started = time.perf_counter()
    matmul: Precision = "tf32" if config.precision == "tf32" else "fp32"  # bf16 is Lightning's business
    with (
        _quiet_lightning(),
        arithmetic(matmul, target_device),
        surroundings(processes) as environment,
    ):
        trainer = L.Trainer(
            accelerator={"cuda": "gpu"}.get(target_device.type, target_device.type),
            devices=_devices(processes, target_device),
            num_nodes=processes.nodes,
            strategy=processes.strategy,
            plugins=[environment],
            precision=_lightning_precision(config, target_device),
            use_distributed_sampler=False,  # batches are dealt out to the processes below
            max_epochs=config.epochs,
            callbacks=[
                WeightAveraging(use_buffers=False, avg_fn=rising_average(config.ema_decay)),
                early,
                EndOfEpoch(),
                best,
                every,
                Announce(),
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
        if first and processes.processes > 1:
            progress(Note(message=_who_fits(processes)))
        _run(trainer, task, last if resume and last.is_file() else None)
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
        processes=processes.processes,
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


def _run(trainer: L.Trainer, task: FitModule, checkpoint: Path | None) -> None:
    """Run the fit from a checkpoint or from the start; return, or raise what ended it, in the first process.

    Raises:
        SystemExit: in the other processes, once the fit is over.
        KeyboardInterrupt: Ctrl-C, on which Lightning would end the program.
    """
    try:
        with parting(trainer, lambda: task.agreed):
            trainer.fit(task, ckpt_path=checkpoint and str(checkpoint), weights_only=True)
    except SystemExit:
        if trainer.interrupted and trainer.is_global_zero:
            raise KeyboardInterrupt from None
        raise
    except MomaError:
        if task.agreed and not trainer.is_global_zero:  # the first process tells of it
            raise SystemExit(0) from None
        raise
    if not trainer.is_global_zero:
        raise SystemExit(0)


def rising_average(decay: float) -> Callable[[Tensor, Tensor, int | Tensor], Tensor]:
    """Return an exponential moving average whose decay rises from 0.1 to ``decay`` with the steps.

    With a constant decay the average of a short fit would hardly leave the starting weights.
    """

    def average(averaged: Tensor, current: Tensor, count: int | Tensor) -> Tensor:
        present = min(decay, (1 + float(count)) / (10 + float(count)))
        return torch.lerp(current, averaged, present)

    return average


def _devices(processes: Layout, device: torch.device) -> int | list[int]:
    """Return Lightning's name of this node's devices; a single GPU can be any."""
    if processes.processes == 1 and device.type == "cuda":
        return [int(str(device).partition(":")[2] or torch.cuda.current_device())]
    return processes.per_node


def _who_fits(processes: Layout) -> str:
    nodes = f" on {processes.nodes} nodes" if processes.nodes > 1 else ""
    return f"{processes.processes} processes{nodes} share this fit, started by {processes.launcher or 'Lightning'}."


def _lightning_precision(config: FitConfig, device: torch.device) -> Literal["32-true", "bf16-mixed"]:
    return "bf16-mixed" if config.precision == "bf16" and device.type == "cuda" else "32-true"


def choose_trainable(model: PropertyModel, trainable: Trainable) -> None:
    """Set which parameters train; constants of the basis functions never do.

    Those few frequencies stay as pre-trained, so that all modules of a backbone share the bases
    and graphs are expanded once for all of them.
    """
    model.requires_grad_(requires_grad=True)
    if trainable == "adapter":
        freeze_all_but_adapters(model.network)
    elif trainable in ("last", "head"):
        model.network.requires_grad_(requires_grad=False)
        for part in model.network.last_layer() if trainable == "last" else ():
            part.requires_grad_(requires_grad=True)
    fixed = set(getattr(model.network, "fixed", ()))
    for name, parameter in model.network.named_parameters():
        if name in fixed:
            parameter.requires_grad = False


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
            for pattern in (".*Checkpoint directory.*", ".*LeafSpec.*", ".*TreeSpec.*"):
                warnings.filterwarnings("ignore", message=pattern)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
