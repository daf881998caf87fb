"""The instant predictor: frozen features and a Gaussian process, before any fine-tuning."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.base import crystal_embedding, pooling_of
from moma_app.backbones.cache import cached_graphs
from moma_app.backbones.inference import apply_in_batches
from moma_app.backbones.registry import get_backbone
from moma_app.errors import InputError
from moma_app.hub.module import PREFIX
from moma_app.progress import Listener, silent
from moma_app.runtime import describe_hardware, pick_device, prepare
from moma_app.training.describe import predictor_info, rows_for
from moma_app.training.metrics import regression_errors
from moma_app.training.outcome import FitReport
from moma_app.training.predictor import Predictor, finite_metrics
from moma_app.training.readout import coverage, fit_gaussian_readout
from moma_app.training.start import Start

if TYPE_CHECKING:
    from moma_app.tasks.task import Task


def fit_instant(
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
    pooling = pooling_of(extensive=data.spec.extensive)

    def embed(rows: NDArray[Any]) -> Tensor:
        return apply_in_batches(
            lambda batch: crystal_embedding(network, batch, start.layers, pooling),
            graphs,
            rows,
            target_device,
            progress=progress,
        )

    train, val, test = embed(parts.train), embed(parts.val), embed(parts.test)
    readout, choices = fit_gaussian_readout(
        train,
        data.targets[parts.train],
        val,
        data.targets[parts.val],
        progress,
        importance=start.importance(backbone),
    )
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
    return Predictor(predictor_info(data, parts, start, start.layers, report), parameters, readout), report
