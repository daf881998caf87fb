"""Fine-tune a composed module, a single module, the bare backbone, or a network from scratch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.backbones.adapters import adapter_state
from moma_app.backbones.registry import get_backbone
from moma_app.hub.module import PREFIX
from moma_app.progress import Listener, silent
from moma_app.runtime import pick_device, seed_everything
from moma_app.training.describe import predictor_info, rows_for
from moma_app.training.outcome import Curve, FitReport
from moma_app.training.parallel import Parallel, hardware_of, layout, only_first
from moma_app.training.predictor import Predictor, finite_metrics
from moma_app.training.readout import HeadReadout
from moma_app.training.recipe import Recipe
from moma_app.training.start import Start
from moma_app.training.supervised import train_on_task
from moma_app.training.train_module import fit_key

if TYPE_CHECKING:
    from moma_app.tasks.task import Task


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
    parallel: Parallel | None = None,
    resume: bool = False,
    progress: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> tuple[Predictor, FitReport]:
    """Train a new head and the start's parameters on a task's train rows.

    Adapters train with the backbone frozen, also new ones, which a recipe may ask for; everything else
    trains what the recipe says, by default all weights.

    Args:
        task: the small task.
        start: what to start from.
        recipe: how to train; its seed also draws the few-shot rows.
        split: seed of the split.
        shots: use so many train rows only.
        checkpoints: folder under which this fit's checkpoints lie, keyed by its inputs.
        graph_folder: cache of graphs.
        device: where to run.
        parallel: processes that share the fit, see :func:`moma_app.training.loop.fit`; only the
            first returns.
        resume: continue this very fit from its last checkpoint, if there is one.
        progress: listener.
        stop: asked after every batch.

    Returns:
        The predictor, and its errors and predictions on the test rows.

    Raises:
        InputError: no row is left to train or validate on, or the processes cannot be had.
        TrainingDivergedError, CancelledError: as :func:`moma_app.training.loop.fit`.
    """
    layout(parallel, pick_device(device))  # a mismatch shows before anything is loaded
    progress = only_first(progress)
    data = task.load(progress)
    seed = recipe.fit.seed
    parts = rows_for(task, split, shots, seed)
    backbone = get_backbone(start.backbone)
    seed_everything(seed)
    if recipe.fit.trainable == "adapter" and start.kind != "adapter":
        start = start.with_new_adapters()
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
        parallel=parallel,
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
        hardware=hardware_of(outcome.result.processes, pick_device(device)),
        config=recipe.to_dict(),
    )
    parameters = (
        adapter_state(network)
        if start.kind == "adapter"
        else {f"{PREFIX['full']}{name}": tensor for name, tensor in network.state().items()}
    )
    info = predictor_info(data, parts, start, outcome.layers, report, head=outcome.model.head.config.pooling)
    return Predictor(info, parameters, HeadReadout(outcome.model.head, outcome.scale)), report
