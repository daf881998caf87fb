"""One fit of one task from start to finish: rows, graphs, head, loop, test errors.

Training a module and fine-tuning a composed one differ only in the network they start from and
in what becomes of the result; both are this function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from moma_app.backbones.base import Backbone, Network, pooling_of
from moma_app.backbones.inference import apply_in_batches
from moma_app.choices import Layers
from moma_app.progress import Listener, Note, silent
from moma_app.runtime import pick_device
from moma_app.training.fit_module import FitData
from moma_app.training.fit_rows import inverse_frequencies, select_rows
from moma_app.training.loop import FitResult, fit
from moma_app.training.metrics import (
    ClassificationErrors,
    RegressionErrors,
    classification_errors,
    regression_errors,
)
from moma_app.training.model import Head, PropertyModel, TargetScale
from moma_app.training.parallel import Parallel, layout, only_first
from moma_app.training.probe import probe
from moma_app.training.recipe import Recipe
from moma_app.training.settings import FitConfig, HeadConfig

if TYPE_CHECKING:
    from moma_app.tasks.data import TaskData
    from moma_app.tasks.splits import Split


@dataclass(frozen=True)
class Outcome:
    """A trained model and how good it is.

    Attributes:
        model: with its best weights, on the CPU.
        layers: which interaction layers feed the head.
        scale: of the training targets.
        result: of the loop.
        errors: on all test rows.
        test: positions of the test rows in the task's data, int64 [n].
        predicted: test predictions in the task's unit, float64 [n]; class indices for classes.
        rows_train, rows_val: how many rows were used.
        rows_excluded: train and validation rows that were left out for the recipe's other tasks.
        rows_refused: rows of all parts that were left out because the backbone cannot make graphs of them.
    """

    model: PropertyModel
    layers: Layers
    scale: TargetScale
    result: FitResult
    errors: RegressionErrors | ClassificationErrors
    test: NDArray[np.int64]
    predicted: NDArray[np.float64]
    rows_train: int
    rows_val: int
    rows_excluded: int = 0
    rows_refused: int = 0


def train_on_task(
    data: TaskData,
    split: Split,
    backbone: Backbone,
    network: Network,
    *,
    recipe: Recipe,
    folder: Path,
    graph_folder: Path | None = None,
    device: str = "auto",
    parallel: Parallel | None = None,
    resume: bool = False,
    progress: Listener = silent,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Train ``network`` with a new head on a task's train rows, and test it.

    Args:
        data: all rows of the task.
        split: positions of train, validation and test rows.
        backbone: builds the graphs.
        network: start; changed in place.
        recipe: how to train.
        folder: for checkpoints.
        graph_folder: cache of graphs, or ``None`` for none.
        device: where to run.
        parallel: processes that share the fit, see :func:`moma_app.training.loop.fit`; only the
            first returns.
        resume: continue from the last checkpoint in ``folder``.
        progress: listener.
        stop: asked after every batch.

    Raises:
        InputError: no row is left to train or validate on, or the processes cannot be had.
        TrainingDivergedError, CancelledError: as :func:`moma_app.training.loop.fit`.
    """
    target_device = pick_device(device)
    processes = layout(parallel, target_device)
    target_device = processes.device(target_device)
    progress = only_first(progress)
    rows = select_rows(data, split, recipe, backbone, graph_folder=graph_folder, progress=progress)
    targets = data.targets[rows.used]

    layers = recipe.layers or backbone.info.default_layers
    classes = data.spec.n_classes if data.spec.kind == "classification" else None
    config = recipe.fit if classes is None else recipe.with_fit(loss="cross-entropy").fit
    torch.manual_seed(config.seed)
    head_config = HeadConfig(**{**recipe.head.to_dict(), "outputs": classes or 1})
    head = Head(backbone.feature_width(layers), head_config)
    pooling = pooling_of(extensive=data.spec.extensive, head=head_config.pooling)
    model = PropertyModel(network, head, layers, pooling)
    scale = TargetScale() if classes else TargetScale.of(torch.from_numpy(targets[rows.train]))

    if advice := backbone.advice(target_device):
        progress(Note(message=advice))
    model.to(target_device).eval()
    sampling = inverse_frequencies(targets[rows.train]) if recipe.sampling == "inverse-frequency" else None
    fit_data = FitData(rows.graphs, targets, rows.train, rows.val, sampling)
    _prepare_head(model, fit_data, scale, config, device=target_device, progress=progress)
    result = fit(
        model,
        fit_data,
        scale,
        config,
        folder,
        device=device,
        parallel=parallel,
        resume=resume,
        progress=progress,
        stop=stop,
    )
    outputs = apply_in_batches(
        model.to(target_device), rows.graphs, rows.test, target_device, progress=progress
    )
    model.to("cpu")
    errors: RegressionErrors | ClassificationErrors
    if classes:
        predicted = outputs.argmax(1).double().numpy()
        errors = classification_errors(predicted, targets[rows.test])
    else:
        predicted = scale.restore(outputs[:, 0].double()).numpy()
        errors = regression_errors(predicted, targets[rows.test], scale.mean)
    return Outcome(
        model,
        layers,
        scale,
        result,
        errors,
        rows.used[rows.test],
        predicted,
        rows_train=len(rows.train),
        rows_val=len(rows.val),
        rows_excluded=rows.excluded,
        rows_refused=rows.refused,
    )


def _prepare_head(
    model: PropertyModel,
    data: FitData,
    scale: TargetScale,
    config: FitConfig,
    *,
    device: torch.device,
    progress: Listener,
) -> None:
    """Fit the head's scaler on the train rows and, if asked for, train the head alone."""
    features = apply_in_batches(model.embed, data.graphs, data.train, device, progress=progress).to(device)
    model.head.fit_scaler(features)
    if not config.head_epochs:
        return
    values = torch.from_numpy(data.targets).to(device)
    values = values.long() if config.loss == "cross-entropy" else scale.standardise(values).float()
    val_features = apply_in_batches(model.embed, data.graphs, data.val, device, progress=progress).to(device)
    probe(model.head, (features, values[data.train]), (val_features, values[data.val]), config, progress)
