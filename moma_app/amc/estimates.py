"""Eq. 1 for each module as soon as it has encoded the train rows: estimates, errors, neighbours."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.amc.nearest import nearest_rows
from moma_app.amc.neighbours import NearestRows, propagate
from moma_app.amc.result import AMCResult, ModuleScore
from moma_app.amc.scoring import Standardised, proxy_errors
from moma_app.amc.stored import StoredNeighbours, neighbours_to_keep
from moma_app.backbones.base import Backbone
from moma_app.errors import DamagedFileError, IncompatibleError
from moma_app.hub.encode import Encoded
from moma_app.hub.module import Module
from moma_app.progress import Listener, ModuleEncoded, Warned


@dataclass(frozen=True, eq=False)
class Estimate:
    """What one module's embeddings say of the targets.

    Attributes:
        module: the module.
        embedding: of the train rows, [m, d].
        nearest: at least as many neighbours of each train row as K.
        predictions: standardised, float64 [m].
        seconds: of encoding and search.
    """

    module: Module
    embedding: Tensor
    nearest: NearestRows
    predictions: NDArray[np.float64]
    seconds: float

    def scored(self, weight: float, targets: NDArray[np.float64], scale: Standardised) -> ModuleScore:
        """Return the module's part in the result."""
        card = self.module.card
        return ModuleScore(
            module=self.module.name,
            task=card.target.task,
            property=card.target.property,
            unit=card.target.unit,
            weight=weight,
            **proxy_errors(self.predictions, targets, scale),
            sha256=card.sha256,
            version=card.version,
            seconds=round(self.seconds, 3),
        )


@dataclass(frozen=True)
class LeaveOut:
    """Notes why a module takes no part, and tells the listener.

    Attributes:
        skipped: the reasons so far, by module.
        progress: the listener.
    """

    skipped: dict[str, str]
    progress: Listener

    def __call__(self, module: Module, reason: object) -> None:
        """Leave a module out."""
        self.skipped[module.name] = str(reason)
        self.progress(Warned(message=f"Module {module.name} is left out: {reason}"))

    def unless_sound(self, module: Module, backbone: Backbone) -> bool:
        """Return whether the module's file is whole and fits the backbone; note it if not."""
        try:
            module.verify()
            module.check_backbone(backbone)
        except (DamagedFileError, IncompatibleError) as exc:
            self(module, exc)
            return False
        return True


def estimate_all(
    encoded: Iterator[Encoded],
    *,
    total: int,
    scale: Standardised,
    k: int,
    temperature: float,
    device: torch.device,
    progress: Listener,
    leave_out: LeaveOut,
) -> list[Estimate]:
    """Estimate the targets with each module as it comes, and tell of it.

    Args:
        encoded: the modules' embeddings.
        total: how many modules there will be.
        scale: the standardised targets.
        k, temperature: of Eq. 1.
        device: where neighbours are searched.
        progress: gets ``ModuleEncoded`` for each module.
        leave_out: told of modules whose embeddings cannot be used.

    Raises:
        InputError: too few rows for K, or T is not positive.
    """
    found: list[Estimate] = []
    kept = neighbours_to_keep(k, len(scale.values), total)
    skipped_before = len(leave_out.skipped)
    for module, embedding, encoding_seconds in encoded:
        if not (torch.isfinite(embedding).all() and embedding.any(dim=1).all()):
            leave_out(module, "its embeddings are not finite, or zero")
            continue
        started = time.perf_counter()
        nearest = nearest_rows(embedding, kept, device)
        predictions = propagate(nearest.first(k), scale.values, temperature)
        mae = float(np.abs(predictions - scale.values).mean())
        seconds = encoding_seconds + time.perf_counter() - started
        found.append(Estimate(module, embedding, nearest, predictions, seconds))
        done = len(found) + len(leave_out.skipped) - skipped_before
        progress(
            ModuleEncoded(
                module=module.name,
                index=len(found) - 1,
                total=total,
                proxy_mae=mae * scale.std,
                proxy_mae_standardised=mae,
                seconds=seconds,
                fraction=done / total,
            )
        )
    return found


def stored_neighbours(
    estimates: Sequence[Estimate], result: AMCResult, rows: NDArray[np.int64]
) -> StoredNeighbours:
    """Return the neighbours that the estimates rest on, to be kept.

    Args:
        estimates: of the modules that took part.
        result: of the composition.
        rows: positions of the train rows in the task's data, [m].
    """
    return StoredNeighbours(
        task=result.task,
        modules=tuple(score.module for score in result.modules),
        sha256=tuple(score.sha256 for score in result.modules),
        ids=tuple(result.train_ids),
        rows=rows.astype(np.int32),
        targets=np.array(result.train_targets, dtype=np.float64),
        indices=np.stack([estimate.nearest.indices.astype(np.int32) for estimate in estimates]),
        similarities=np.stack([estimate.nearest.similarities for estimate in estimates]),
    )
