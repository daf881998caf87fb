"""Which type a module's matrices are stored in: the smallest that leaves its test error as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from moma_app.backbones.base import Backbone
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.refused import cached_usable_graphs
from moma_app.backbones.registry import get_backbone
from moma_app.choices import Storage
from moma_app.errors import InputError
from moma_app.hub.card import Metrics
from moma_app.hub.encode import Encoded, encode_modules
from moma_app.hub.module import Module
from moma_app.hub.storage import size_on_disk, stored_as
from moma_app.progress import Listener, Note, silent
from moma_app.runtime import pick_device
from moma_app.training.hub_predictions import own_gate, own_pooling, predicted_by
from moma_app.training.metrics import (
    ClassificationErrors,
    RegressionErrors,
    classification_errors,
    regression_errors,
)

if TYPE_CHECKING:
    from moma_app.tasks.data import TaskData

Errors = RegressionErrors | ClassificationErrors
TOLERANCE = 0.005
"""Relative change of the test error that rounding may bring."""
HALVES: tuple[Storage, ...] = ("float16", "bfloat16")
"""Half precision in the order in which it is tried: float16 keeps 11 bits of each number, bfloat16 keeps 8."""


@dataclass(frozen=True)
class Trial:
    """A module stored in one way.

    Attributes:
        storage: type of its matrices.
        size: bytes of its tensors.
        errors: on the test rows.
        change: relative change of the test MAE (of the accuracy, for classes) against float32;
            infinite if it is not a number.
    """

    storage: Storage
    size: int
    errors: Errors
    change: float

    @property
    def figure(self) -> float:
        """The error that a card shows: the test MAE, or the accuracy of classes."""
        return _figure(self.errors)


@dataclass(frozen=True)
class StorageChoice:
    """How a module is to be stored.

    Attributes:
        module: as it is to be saved, with the test errors that it has then on its card.
        trials: what was measured, float32 first; a type that cannot hold the module has none.
    """

    module: Module
    trials: tuple[Trial, ...]

    @property
    def chosen(self) -> Trial:
        """The trial of the type that was chosen."""
        return next(trial for trial in self.trials if trial.storage == self.module.card.storage)


def choose_storage(
    module: Module,
    data: TaskData,
    rows: NDArray[np.integer[Any]],
    *,
    tolerance: float = TOLERANCE,
    graph_folder: Path | None = None,
    device: str = "auto",
    progress: Listener = silent,
) -> StorageChoice:
    """Choose float16 if the module's test error stays within the tolerance, else bfloat16, else float32.

    The errors are measured anew in float32 too, on the same structures in the same pass, so that only
    the rounding of the stored numbers differs.

    Args:
        module: in float32, with a head, in memory or of a hub.
        data: the module's task.
        rows: the module's test rows, positions in ``data``.
        tolerance: largest relative change of the test MAE, or of the accuracy.
        graph_folder: cache of graphs.
        device: where to predict.
        progress: listener; told of a type that changes too much.

    Raises:
        InputError: the module is stored in half precision already, has no head, or there is no row.
        IncompatibleError: the backbone's weights on this machine are not those it was made with.
        DamagedFileError: the module's file cannot be read.
    """
    if module.card.storage != "float32":
        raise InputError(f"Module {module.name!r} is stored in {module.card.storage} already.")
    if module.card.head is None:
        raise InputError(f"Module {module.name!r} has no head: its test error cannot be measured.")
    if not len(rows):
        raise InputError(f"Module {module.name!r}: there is no row to measure its test error on.")
    backbone = get_backbone(module.card.backbone)
    graphs, usable = cached_usable_graphs(backbone, data.structures.take(rows), graph_folder, progress)
    measure = _Measure(backbone, graphs, data.targets[rows[usable]], pick_device(device), progress)
    halves = list(_halves(module, progress))
    exact, *others = measure([module, *halves[:1]])  # the usual two in one pass over the structures
    trials = [Trial("float32", size_on_disk(module), exact, 0.0)]
    for number, half in enumerate(halves):
        errors = others[0] if number == 0 else measure([half])[0]
        change = _change(exact, errors)
        trials.append(Trial(half.card.storage, size_on_disk(half), errors, change))
        if change <= tolerance:
            return StorageChoice(_with_errors(half, errors), tuple(trials))
        told = f"Module {module.name}: {half.card.storage} would change its test error by {change:.2%}."
        progress(Note(message=told))
    return StorageChoice(_with_errors(module, exact), tuple(trials))


def _halves(module: Module, progress: Listener) -> Iterator[Module]:
    """Yield the module in each type of half precision that can hold its numbers."""
    for storage in HALVES:
        try:
            yield stored_as(module, storage)
        except InputError as exc:
            progress(Note(message=str(exc)))


@dataclass(frozen=True, eq=False)
class _Measure:
    """Measures test errors on the graphs [n] of structures with known targets, float64 [n]."""

    backbone: Backbone
    graphs: GraphSet
    targets: NDArray[np.float64]
    device: torch.device
    progress: Listener

    def __call__(self, modules: Sequence[Module]) -> list[Errors]:
        card = modules[0].card
        encoded = encode_modules(
            modules,
            self.backbone,
            self.graphs,
            layers=card.layers,
            pooling=own_pooling(card),
            gate=own_gate,
            device=self.device,
            progress=self.progress,
        )
        return [self._errors(each) for each in encoded]

    def _errors(self, encoded: Encoded) -> Errors:
        card = encoded.module.card
        assert card.head is not None
        predicted = predicted_by(encoded.module, self.backbone, encoded.embeddings)
        if card.target.kind == "classification":
            return classification_errors(predicted, self.targets)
        return regression_errors(predicted, self.targets, card.head.mean)


def _change(exact: Errors, other: Errors) -> float:
    """Return how much the figure that a card shows differs, relative to that in float32."""
    first, second = _figure(exact), _figure(other)
    if first == second:
        return 0.0
    change = abs(second - first) / first if first else math.inf
    return change if math.isfinite(change) else math.inf


def _figure(errors: Errors) -> float:
    return errors.mae if isinstance(errors, RegressionErrors) else errors.accuracy


def _with_errors(module: Module, errors: Errors) -> Module:
    """Return the module with these test errors on its card."""
    old = module.card.metrics
    if isinstance(errors, RegressionErrors):
        new = Metrics(test_mae=errors.mae, test_mad=errors.mad, test_r2=errors.r2, val_error=old.val_error)
    else:
        new = Metrics(test_accuracy=errors.accuracy, test_macro_f1=errors.macro_f1, val_error=old.val_error)
    card = module.card.model_copy(update={"metrics": new})
    return Module(card, module.path, module.memory)
