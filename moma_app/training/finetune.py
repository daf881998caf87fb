"""Fine-tune a composed module, a single module, the bare backbone, or a network from scratch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from moma_app.backbones.adapters import adapter_state
from moma_app.backbones.base import Backbone, Layers, Network, crystal_embedding
from moma_app.backbones.cache import cached_graphs
from moma_app.backbones.inference import apply_in_batches
from moma_app.backbones.registry import get_backbone
from moma_app.errors import InputError
from moma_app.hub.module import PREFIX, Module, network_from
from moma_app.progress import Listener, silent
from moma_app.runtime import describe_hardware, pick_device, prepare, seed_everything
from moma_app.tasks.splits import few_shot
from moma_app.training.metrics import regression_errors
from moma_app.training.outcome import Curve, FitReport
from moma_app.training.predictor import Predictor, PredictorInfo, finite_metrics
from moma_app.training.readout import HeadReadout, coverage, fit_gaussian_readout
from moma_app.training.recipe import Recipe
from moma_app.training.supervised import pooling_of, train_on_task
from moma_app.training.train_module import fit_key, target_of

if TYPE_CHECKING:
    from typing import Literal

    from moma_app.tasks.data import TaskData
    from moma_app.tasks.splits import Split
    from moma_app.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Start:
    """What a fit starts from.

    Attributes:
        name: ``composed``, ``backbone``, ``scratch`` or a module's name.
        label: for people.
        backbone: name in the registry.
        kind: which parameters ``tensors`` holds.
        layers: which interaction layers feed the readout.
        tensors: with prefix; empty for the bare backbone and for scratch.
        weights: composition weights by module.
    """

    name: str
    label: str
    backbone: str
    kind: Literal["full", "adapter"]
    layers: Layers
    tensors: dict[str, Tensor]
    weights: dict[str, float]

    @classmethod
    def bare(cls, backbone: Backbone, *, scratch: bool = False) -> Start:
        """Start from the pre-trained backbone, or from random weights."""
        name, label = ("scratch", "from scratch") if scratch else ("backbone", "bare backbone")
        return cls(name, label, backbone.info.name, "full", backbone.info.default_layers, {}, {})

    @classmethod
    def module(cls, module: Module) -> Start:
        """Start from one module of the hub."""
        card = module.card
        return cls(
            module.name,
            f"module {module.name}",
            card.backbone,
            card.kind,
            card.layers,
            module.parameters(),
            {},
        )

    def network(self, backbone: Backbone) -> Network:
        """Return the network to start from; ``scratch`` draws from torch's random state."""
        if self.name == "scratch":
            return backbone.network()
        return network_from(backbone, self.kind, self.tensors) if self.tensors else backbone.pretrained()


def rows_for(task: Task, split: int, shots: int | None, seed: int) -> Split:
    """Return the split's rows, with few-shot sampling if asked for."""
    parts = task.split(split)
    return parts if shots is None else few_shot(parts, shots, seed)


def finetune(
    task: Task,
    start: Start,
    recipe: Recipe,
    split: int = 0,
    *,
    shots: int | None = None,
    checkpoints: Path,
    graph_folder: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    progress: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> tuple[Predictor, FitReport]:
    """Train a new head and the start's parameters on a task's train rows.

    Adapters train with the backbone frozen; everything else trains all weights.

    Args:
        task: the small task.
        start: what to start from.
        recipe: how to train; its seed also draws the few-shot rows.
        split: seed of the split.
        shots: use so many train rows only.
        checkpoints: folder under which this fit's checkpoints lie, keyed by its inputs.
        graph_folder: cache of graphs.
        device: where to run.
        resume: continue this very fit from its last checkpoint, if there is one.
        progress: listener.
        stop: asked after every batch.

    Returns:
        The predictor, and its errors and predictions on the test rows.
    """
    data = task.load(progress)
    seed = recipe.fit.seed
    parts = rows_for(task, split, shots, seed)
    backbone = get_backbone(start.backbone)
    seed_everything(seed)
    network = start.network(backbone)
    recipe = recipe.with_fit(trainable="adapter" if start.kind == "adapter" else recipe.fit.trainable)
    key = fit_key(
        f"{task.name}-{start.name}",
        data.content_hash(),
        [split, parts.origin, shots],
        backbone.fingerprint,
        start.weights,
        start.layers,
        recipe.to_dict(),
    )
    outcome = train_on_task(
        data,
        parts,
        backbone,
        network,
        recipe=recipe,
        folder=checkpoints / key,
        graph_folder=graph_folder,
        device=device,
        resume=resume,
        progress=progress,
        stop=stop,
    )
    curve = outcome.result.curve
    metrics = finite_metrics(outcome.errors.to_dict())
    report = FitReport(
        label=start.label,
        start=start.name,
        task=task.name,
        property=task.spec.property,
        unit=task.spec.unit,
        split=split,
        shots=shots,
        seed=seed,
        metrics=metrics,
        ids=[data.ids[i] for i in outcome.test],
        targets=data.targets[outcome.test].tolist(),
        predicted=outcome.predicted.tolist(),
        curve=Curve(
            epoch=[event.epoch for event in curve],
            train_error=[event.train_error for event in curve],
            val_error=[event.val_error for event in curve],
            learning_rate=[event.learning_rate for event in curve],
        ),
        best_epoch=outcome.result.best_epoch,
        seconds=outcome.result.seconds,
        hardware=describe_hardware(pick_device(device)),
        config=recipe.to_dict(),
    )
    parameters = (
        adapter_state(network)
        if start.kind == "adapter"
        else {f"{PREFIX['full']}{name}": tensor for name, tensor in network.state().items()}
    )
    info = _info(data, parts, start, outcome.layers, report)
    return Predictor(info, parameters, HeadReadout(outcome.model.head, outcome.scale)), report


def instant(
    task: Task,
    start: Start,
    split: int = 0,
    *,
    shots: int | None = None,
    seed: int = 0,
    graph_folder: Path | None = None,
    device: str = "auto",
    progress: Listener = silent,
) -> tuple[Predictor, FitReport]:
    """Fit a Gaussian process on frozen embeddings: a first prediction in seconds, without training.

    The noise model (Gaussian or Student-t) is chosen on the validation rows, which also
    calibrate the uncertainties; the test rows only report errors and coverage.

    Raises:
        InputError: a classification task.
    """
    import time

    if task.spec.kind == "classification":
        raise InputError(f"Task {task.name} is a classification; the instant predictor is for numbers only.")
    prepare()
    started = time.perf_counter()
    data = task.load(progress)
    parts = rows_for(task, split, shots, seed)
    backbone = get_backbone(start.backbone)
    torch.manual_seed(seed)
    target_device = pick_device(device)
    network = start.network(backbone).to(target_device).eval()
    graphs = cached_graphs(backbone, data.structures, graph_folder, progress)
    pooling = pooling_of(data)

    def embed(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
        return apply_in_batches(
            lambda batch: crystal_embedding(network, batch, start.layers, pooling),
            graphs,
            rows,
            target_device,
        )

    train, val, test = embed(parts.train), embed(parts.val), embed(parts.test)
    readout, choices = fit_gaussian_readout(train, data.targets[parts.train], val, data.targets[parts.val])
    values, deviations = readout.predict(test)
    targets = data.targets[parts.test]
    errors = regression_errors(values, targets, readout.scale.mean)
    metrics = {**finite_metrics(errors.to_dict()), "coverage90": coverage(values, deviations, targets)}
    report = FitReport(
        label=f"instant, {start.label}",
        start=f"instant:{start.name}",
        task=task.name,
        property=task.spec.property,
        unit=task.spec.unit,
        split=split,
        shots=shots,
        seed=seed,
        metrics=metrics,
        ids=[data.ids[i] for i in parts.test],
        targets=targets.tolist(),
        predicted=values.tolist(),
        std=deviations.tolist(),
        seconds=time.perf_counter() - started,
        hardware=describe_hardware(target_device),
        config={**readout.config(), "validation_mae": choices},
    )
    parameters = dict(start.tensors) or (
        {f"{PREFIX['full']}{name}": tensor for name, tensor in network.cpu().state().items()}
    )
    return Predictor(_info(data, parts, start, start.layers, report), parameters, readout), report


def _info(data: TaskData, parts: Split, start: Start, layers: Layers, report: FitReport) -> PredictorInfo:
    backbone = get_backbone(start.backbone)
    return PredictorInfo(
        target=target_of(data.spec),
        backbone=backbone.info.name,
        fingerprint=backbone.fingerprint,
        kind=start.kind,
        layers=layers,
        pooling=pooling_of(data),
        readout={},
        start=report.start,
        weights=start.weights,
        metrics=report.metrics,
        split=parts.seed,
        shots=report.shots,
        seed=report.seed,
        data_hash=data.content_hash(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
