"""Train a head on frozen features first, so that fine-tuning starts from a sensible readout.

A new head sends random gradients into a pre-trained network and spoils it before it helps.
Training the head alone first avoids that (Kumar et al., ICLR 2022, arXiv 2202.10054). Features
are computed once, so it takes seconds.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor

from moma_app.progress import Listener, Step, silent
from moma_app.training.losses import loss_of
from moma_app.training.model import Head
from moma_app.training.settings import FitConfig


def probe(
    head: Head,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    config: FitConfig,
    progress: Listener = silent,
) -> float:
    """Train ``head`` in place on embeddings and keep the weights of its best epoch.

    Args:
        head: its scaler is already fitted.
        train: embeddings [m, d] and targets on the scale of the loss, [m].
        val: the same of the validation rows.
        config: ``head_epochs``, ``head_learning_rate``, ``batch_size``, ``loss`` and ``seed``.
        progress: gets a ``Step`` after each epoch.

    Returns:
        The validation loss of the weights kept.
    """
    features, targets = train
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=config.head_learning_rate, weight_decay=config.weight_decay
    )
    size = batch_size(config, len(targets))
    generator = np.random.default_rng([config.seed, config.head_epochs])
    best, best_state = math.inf, copy.deepcopy(head.state_dict())
    for epoch in range(config.head_epochs):
        rate = 0.5 * (1 + math.cos(math.pi * epoch / config.head_epochs))
        for group in optimizer.param_groups:
            group["lr"] = config.head_learning_rate * rate
        head.train()
        order = torch.from_numpy(generator.permutation(len(targets)))
        for rows in torch.split(order, size):
            optimizer.zero_grad()
            loss_of(head(features[rows]), targets[rows], config.loss).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        head.eval()
        with torch.no_grad():
            error = float(loss_of(head(val[0]), val[1], config.loss))
        if error < best:
            best, best_state = error, copy.deepcopy(head.state_dict())
        share = (epoch + 1) / config.head_epochs
        progress(
            Step(what="epochs of the head alone", done=epoch + 1, total=config.head_epochs, fraction=share)
        )
    head.load_state_dict(best_state)
    return best


def batch_size(config: FitConfig, rows: int) -> int:
    """Return the structures in a step: few rows get smaller batches, so that an epoch has several steps."""
    return max(1, min(config.batch_size, max(4, rows // config.min_batches)))
