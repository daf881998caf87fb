"""Training the last interaction layer and the head alone: with and without keeping what is frozen."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moma_app.backbones.registry import get_backbone
from moma_app.bench.inputs import SEED, read_inputs
from moma_app.bench.job import Job
from moma_app.bench.sizes import required
from moma_app.bench.work.base import Work, chunks
from moma_app.bench.work.training_step import LEARNING_RATE, steps
from moma_app.runtime import prepare, seed_everything
from moma_app.training.fit_module import FitData
from moma_app.training.frozen import with_frozen_features
from moma_app.training.loop import choose_trainable
from moma_app.training.losses import loss_of
from moma_app.training.model import Head, PropertyModel, TargetScale


def ours(job: Job) -> Work:
    """Compute the frozen part's features before the first step, as a fit does."""
    return _steps(job, keep=True)


def theirs(job: Job) -> Work:
    """Run the whole network in every step."""
    return _steps(job, keep=False)


def _steps(job: Job, *, keep: bool) -> Work:
    prepare()
    seed_everything(SEED)
    structures, values = read_inputs(job.inputs)
    backbone = get_backbone("chgnet")
    scale = TargetScale.of(torch.from_numpy(values))
    targets = scale.standardise(torch.from_numpy(values)).float()
    rows = np.arange(len(values))
    data = FitData(backbone.graphs(structures), values, rows, rows[:0])
    torch.manual_seed(SEED)
    model = PropertyModel(backbone.pretrained(), Head(backbone.feature_width("all")), layers="all")
    choose_trainable(model, "last")
    facts: dict[str, Any] = {}
    if keep:
        started = time.perf_counter()
        data = with_frozen_features(model, data, "last", torch.device("cpu"))
        facts["features computed in s"] = round(time.perf_counter() - started, 2)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE)
    batches = chunks(len(rows), required(job.sizes.batch_size))
    model.train()

    def step(indices: NDArray[np.int64]) -> None:
        optimizer.zero_grad()
        outputs = model(data.graphs.batch(indices))
        loss_of(outputs, targets[torch.from_numpy(indices)], "mae").backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def answer() -> list[float]:
        """Return predictions after the same number of steps on both sides."""
        with torch.no_grad():
            predicted: list[float] = model(data.graphs.batch(batches[0])).squeeze(1).tolist()
        return predicted

    return steps(step, batches, job.device, answer=answer, facts=facts)
