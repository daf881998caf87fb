"""Train one module: a task in, a module with its card out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moma_app import __version__
from moma_app.backbones.adapters import adapter_state, attach_adapters
from moma_app.backbones.registry import get_backbone
from moma_app.hub.card import Card, Data, EpochRecord, Hardware, HeadInfo, Metrics, module_name
from moma_app.hub.module import HEAD, PREFIX, Module
from moma_app.progress import Listener, silent
from moma_app.runtime import pick_device, seed_everything
from moma_app.training.describe import target_of
from moma_app.training.energy import energy_used
from moma_app.training.memory import peak_memory
from moma_app.training.metrics import RegressionErrors
from moma_app.training.parallel import Parallel, hardware_of
from moma_app.training.recipe import Recipe
from moma_app.training.supervised import Outcome, train_on_task

if TYPE_CHECKING:
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.splits import Split


def train_module(
    data: TaskData,
    split: Split,
    recipe: Recipe,
    *,
    name: str | None = None,
    backbone_name: str = "chgnet",
    kind: Literal["full", "adapter"] = "full",
    checkpoints: Path,
    graph_folder: Path | None = None,
    device: str = "auto",
    parallel: Parallel | None = None,
    resume: bool = False,
    progress: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> Module:
    """Train a module on a task, from the backbone's pre-trained weights.

    Args:
        data: all rows of the task.
        split: which rows train, validate and test.
        recipe: how to train; its ``fit.trainable`` is set by ``kind``.
        name: of the module; by default the task's, with ``-adapter`` for an adapter.
        backbone_name: name in the registry.
        kind: all weights, or adapters in a frozen backbone.
        checkpoints: folder under which this fit's checkpoints lie, keyed by its inputs.
        graph_folder: cache of graphs.
        device: where to run.
        parallel: processes that share the fit, see :func:`moma_app.training.loop.fit`; only the
            first returns.
        resume: continue an interrupted training of the same module.
        progress: listener.
        stop: asked after every batch.

    Returns:
        A module in memory; ``Hub.add`` publishes it.

    Raises:
        InputError: no row is left to train or validate on, or the processes cannot be had.
        TrainingDivergedError, CancelledError: as :func:`moma_app.training.loop.fit`.
    """
    backbone = get_backbone(backbone_name)
    recipe = recipe.with_fit(trainable=kind)
    name = name or module_name(data.spec.name, kind)
    seed_everything(recipe.fit.seed)
    network = backbone.pretrained()
    if kind == "adapter":
        attach_adapters(network, backbone.info.width, backbone.info.n_layers)
    folder = checkpoints / fit_key(
        name, data.content_hash(), split.seed, backbone.fingerprint, recipe.to_dict()
    )
    target_device = pick_device(device)
    with peak_memory(target_device) as peak, energy_used(target_device) as energy:
        outcome = train_on_task(
            data,
            split,
            backbone,
            network,
            recipe=recipe,
            folder=folder,
            graph_folder=graph_folder,
            device=device,
            parallel=parallel,
            resume=resume,
            progress=progress,
            stop=stop,
        )
    tensors = {f"{HEAD}{key}": value.clone() for key, value in outcome.model.head.state_dict().items()}
    parameters = adapter_state(network) if kind == "adapter" else network.state()
    own = "" if kind == "adapter" else PREFIX[kind]
    tensors |= {f"{own}{key}": value.clone() for key, value in parameters.items()}
    card = Card(
        name=name,
        backbone=backbone.info.name,
        fingerprint=backbone.fingerprint,
        kind=kind,
        layers=outcome.layers,
        target=target_of(data.spec),
        data=_data(data, split, recipe, outcome),
        metrics=_metrics(outcome),
        curve=tuple(
            EpochRecord(
                epoch=event.epoch,
                train_error=event.train_error,
                val_error=event.val_error,
                learning_rate=event.learning_rate,
            )
            for event in outcome.result.curve
        ),
        recipe=recipe.to_dict(),
        head=HeadInfo(
            config=outcome.model.head.config.to_dict(), mean=outcome.scale.mean, std=outcome.scale.std
        ),
        seed=recipe.fit.seed,
        hardware=Hardware(
            device=hardware_of(outcome.result.processes, target_device),
            seconds=round(outcome.result.seconds, 1),
            peak_memory_mb=None if peak.megabytes is None else round(peak.megabytes, 1),
            energy_wh=None if energy.watt_hours is None else round(energy.watt_hours, 2),
            trainable_parameters=outcome.result.trainable_parameters,
            total_parameters=outcome.result.total_parameters,
        ),
        citation=data.spec.citation,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        made_with=f"moma-app {__version__}",
    )
    return Module(card, memory=tensors)


def fit_key(name: str, *parts: Any) -> str:
    """Return the folder name of a fit: equal inputs give the same one, so that it can be resumed."""
    digest = hashlib.sha256(json.dumps([name, *parts], sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:16]}"


def _data(data: TaskData, split: Split, recipe: Recipe, outcome: Outcome) -> Data:
    return Data(
        source=str(data.metadata.get("origin", "")) or data.spec.citation,
        rows_train=outcome.rows_train,
        rows_val=outcome.rows_val,
        rows_test=len(outcome.test),
        rows_published=data.spec.published_rows,
        max_atoms=recipe.max_atoms,
        excluded_tasks=recipe.exclude_structures_of,
        rows_excluded=outcome.rows_excluded,
        rows_refused=outcome.rows_refused,
        split_seed=split.seed,
        hash=data.content_hash(),
    )


def _metrics(outcome: Outcome) -> Metrics:
    errors = outcome.errors
    val_error = outcome.result.best_val_error
    if isinstance(errors, RegressionErrors):
        return Metrics(test_mae=errors.mae, test_mad=errors.mad, test_r2=errors.r2, val_error=val_error)
    return Metrics(test_accuracy=errors.accuracy, test_macro_f1=errors.macro_f1, val_error=val_error)
