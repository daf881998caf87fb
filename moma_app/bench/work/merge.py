"""Merging large modules that lie on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from moma_app.amc.merge import iter_merged, merge_to_file
from moma_app.bench.job import Job
from moma_app.bench.sizes import required
from moma_app.bench.work.base import Work
from moma_app.hub.card import Card, Data, Target
from moma_app.hub.module import PREFIX, Module

TENSORS = 40
"""Tensors of a made-up module; the largest of a 160 M-parameter GemNet-OC is about as large as one of these."""


def ours(job: Job) -> Work:
    """Merge modules from disk to disk, tensor by tensor."""
    n_modules, n_parameters = required(job.sizes.modules), required(job.sizes.parameters)
    folder = Path(job.scratch) / "modules"
    folder.mkdir()
    modules = [_made_up_module(folder, number, n_parameters) for number in range(n_modules)]
    weights = np.arange(1, n_modules + 1) / np.arange(1, n_modules + 1).sum()
    facts: dict[str, Any] = {"megabytes read": round(n_modules * n_parameters * 4 / 2**20)}

    def run() -> None:
        merge_to_file(modules, weights, Path(job.scratch) / "merged.safetensors")

    def compare() -> list[float]:
        """Note how far one merged tensor is from its average in float64."""
        name, merged = next(iter_merged(modules, weights))
        expected = torch.zeros(merged.shape, dtype=torch.float64)
        for module, weight in zip(modules, weights, strict=True):
            expected += float(weight) * module.tensor(name).double()
        facts["difference from float64"] = float((merged - expected).abs().max() / expected.abs().max())
        return []

    return Work(
        run, units=1, warm_up=lambda: next(iter_merged(modules, weights)), answer=compare, facts=facts
    )


def _made_up_module(folder: Path, number: int, n_parameters: int) -> Module:
    name = f"made-up-{number}"
    size = max(1, n_parameters // TENSORS)
    random = torch.Generator().manual_seed(number)
    values = torch.randn(size, generator=random)
    path = folder / f"{name}.safetensors"
    # One tensor under many names would be stored once: each is another multiple of the same values.
    save_file({f"{PREFIX['full']}{i:03d}": values * (1 + i) for i in range(TENSORS)}, path)
    card = Card(
        name=name,
        backbone="made-up",
        fingerprint="0" * 16,
        kind="full",
        layers="last",
        target=Target(task=name, property=name, unit=""),
        data=Data(source="made up", rows_train=1, rows_val=1, rows_test=1, hash="0" * 64),
        created="2026-01-01T00:00:00Z",
        made_with="moma bench",
    )
    return Module(card, path)
