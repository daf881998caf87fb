"""Modules in half the space: matrices in half precision on disk, everything computed in float32.

Only tensors of two or more dimensions are rounded. Vectors are 1 to 2% of a module's numbers, and
among them are those that rounding would harm: the frequencies of a basis (up to 109 in CHGNet, where
float16 has steps of 0.06), running variances, and the head's scaler, which divides by standard
deviations down to 2e-5, where float16 has lost its digits. To keep all vectors in float32 costs 2% of
the file and needs no list of names, on which another backbone's would be missing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from moma_app.choices import Storage
from moma_app.errors import InputError
from moma_app.hub.module import Module

TYPES: dict[Storage, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def stored_as(module: Module, storage: Storage) -> Module:
    """Return the module with its matrices as they are to lie on disk, in memory, with its card saying so.

    What is computed with it is what will be computed with the saved one, so it can be tested first; see
    :func:`moma_app.training.storage.choose_storage`.

    Args:
        module: in float32; one in half precision can become float32 again, without what was rounded off.
        storage: type of the matrices.

    Raises:
        InputError: it was rounded to another type already, or a number is too large for the type.
        DamagedFileError: the module's file cannot be read.
    """
    card = module.card
    if card.storage == storage:
        return module
    if "float32" not in (card.storage, storage):
        raise InputError(
            f"Module {module.name!r} is stored in {card.storage}: rounding it again to {storage} would lose more; "
            "start from the one in float32."
        )
    tensors = {name: _stored(module.name, name, tensor, storage) for name, tensor in module.iter_tensors()}
    return Module(
        card.model_copy(update={"storage": storage, "file": "", "sha256": "", "size": 0}), memory=tensors
    )


def _stored(module: str, name: str, tensor: Tensor, storage: Storage) -> Tensor:
    if tensor.dim() < 2 or tensor.dtype not in TYPES.values():
        return tensor.clone()  # what was read of a file goes with it
    stored = tensor.to(TYPES[storage], copy=True)
    if not torch.equal(stored.isfinite(), tensor.isfinite()):
        raise InputError(
            f"Module {module!r}: tensor {name!r} has numbers up to {float(tensor.abs().max()):.3g}, too large for {storage}."
        )
    return stored


def size_on_disk(module: Module) -> int:
    """Return the bytes of the module's tensors, without the file's header of some 10 kB."""
    reader = module.reader()
    specs = [reader.spec(name) for name in reader.names()]
    return sum(spec.dtype.itemsize * torch.Size(spec.shape).numel() for spec in specs)
