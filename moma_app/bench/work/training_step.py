"""One optimiser step on a batch of crystals: collate, forward, L1 loss, backward, AdamW."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.base import crystal_embedding
from moma_app.backbones.registry import get_backbone
from moma_app.bench.flops import GRADIENT, counts_of, forward_flop
from moma_app.bench.inputs import SEED, read_inputs
from moma_app.bench.job import Job
from moma_app.bench.sizes import required
from moma_app.bench.work import reference
from moma_app.bench.work.base import COMPARED, Work, chunks, first
from moma_app.bench.work.device import finish
from moma_app.choices import precision_setting
from moma_app.runtime import arithmetic, seed_everything
from moma_app.training.losses import loss_of
from moma_app.training.model import Head, PropertyModel, TargetScale

LEARNING_RATE = 1e-4


def steps(
    step: Callable[[NDArray[np.int64]], None], batches: Sequence[NDArray[np.int64]], device: str, **about: Any
) -> Work:
    """Return the work of one step for each batch; ``about`` are further fields of :class:`Work`."""

    def run(chosen: Sequence[NDArray[np.int64]] = batches) -> None:
        for indices in chosen:
            step(indices)
        finish(device)

    return Work(run, units=len(batches), warm_up=lambda: run(batches[:1]), **about)


def ours(job: Job) -> Work:
    """Train backbone and head as a fit does, in the arithmetic that the settings ask for."""
    seed_everything(SEED)
    structures, values = read_inputs(job.inputs)
    backbone = get_backbone("chgnet")
    graphs = backbone.graphs(structures)
    targets = torch.from_numpy(values)
    targets = TargetScale.of(targets).standardise(targets).float()
    network = backbone.pretrained()
    model = PropertyModel(network, Head(backbone.feature_width("all")), layers="all").to(job.device)
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name not in getattr(network, "fixed", ())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE)
    batches = chunks(len(graphs), required(job.sizes.batch_size))
    precision, device = precision_setting(), torch.device(job.device)

    with torch.inference_mode():
        compared = graphs.batch(first(graphs, COMPARED)).to(job.device)
        features = crystal_embedding(network, compared, "last").cpu()

    def step(indices: NDArray[np.int64]) -> None:
        batch = graphs.batch(indices).to(job.device)
        expected = targets[torch.from_numpy(indices)].to(job.device)
        optimizer.zero_grad()
        with arithmetic(precision, device):
            loss = loss_of(model(batch).float(), expected, "mae")
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    model.train()
    return steps(
        step,
        batches,
        job.device,
        answer=features.tolist,
        gflop=GRADIENT * forward_flop(counts_of(graphs)) / 1e9,
        facts={"precision": precision if device.type == "cuda" else "fp32"},
    )


def theirs(job: Job) -> Work:
    """Train the package's model on its energy output, the least that a step with it can do."""
    seed_everything(SEED)
    structures, values = read_inputs(job.inputs)
    model = reference.load_model(job.device)
    graphs = reference.convert(model, structures)
    targets = torch.from_numpy(values).float()
    features = reference.crystal_features(model, graphs[:COMPARED])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    batches = chunks(len(graphs), required(job.sizes.batch_size))

    def step(indices: NDArray[np.int64]) -> None:
        chosen = [graphs[i].to(job.device) for i in indices]
        expected: Tensor = targets[torch.from_numpy(indices)].to(job.device)
        optimizer.zero_grad()
        outputs = model(chosen, task="e")["e"]
        (outputs - expected).abs().mean().backward()
        optimizer.step()

    model.train()
    return steps(
        step,
        batches,
        job.device,
        answer=lambda: features,
        facts={"precision": "fp32"},
    )
