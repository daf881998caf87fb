"""Eq. 4 of the MoMa paper: one module whose parameters are the weighted average of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from moma_app.errors import IncompatibleError, InputError
from moma_app.files import atomic_path
from moma_app.hub.module import Module
from moma_app.hub.reader import TensorReader, widened
from moma_app.hub.sharing import check_shared_start
from moma_app.hub.writer import by_size, write_tensors


def merge_modules(modules: Sequence[Module], weights: ArrayLike) -> dict[str, Tensor]:
    """Average the modules' parameters, tensor by tensor, in float32 (MoMa, Eq. 4).

    Args:
        modules: of one backbone (same fingerprint) and one kind.
        weights: one for each module, >= 0, with sum 1.

    Returns:
        The merged tensors by name, heads left out. A module with weight 1 is returned bit for
        bit, as it is stored; a tensor on which all agree is copied; integer tensors must agree.

    Raises:
        IncompatibleError: backbones, kinds, tensor names or shapes differ, or the modules do not
            share an initialisation.
        InputError: the weights are no point of the simplex.
    """
    return dict(iter_merged(modules, weights))


def iter_merged(modules: Sequence[Module], weights: ArrayLike) -> Iterator[tuple[str, Tensor]]:
    """Yield the merged tensors one by one, holding three in memory; see :func:`merge_modules`."""
    names, parts = _open_parts(modules, weights)
    for name in names:
        yield name, _average(name, parts)


def merge_to_file(modules: Sequence[Module], weights: ArrayLike, path: Path) -> None:
    """Write the merged tensors to a safetensors file, holding three of them in memory.

    The file says the same as :func:`merge_modules`, but that floating-point tensors of several
    modules are always in float32, also where all agree.

    Args:
        modules: of one backbone (same fingerprint) and one kind.
        weights: one for each module, >= 0, with sum 1.
        path: where the file goes, once it is complete.

    Raises:
        IncompatibleError: backbones, kinds, tensor names or shapes differ.
        InputError: the weights are no point of the simplex.
    """
    names, parts = _open_parts(modules, weights)
    specs = {name: parts[0].reader.spec(name) for name in names}
    if len(parts) > 1:
        specs = {
            name: spec._replace(dtype=torch.float32) if spec.dtype.is_floating_point else spec
            for name, spec in specs.items()
        }
    specs = by_size(specs)
    merged = (_average(name, parts).to(spec.dtype) for name, spec in specs.items())
    with atomic_path(path) as temporary:
        write_tensors(temporary, specs, merged)


class _Part(NamedTuple):
    name: str
    reader: TensorReader
    share: float


def _open_parts(modules: Sequence[Module], weights: ArrayLike) -> tuple[list[str], list[_Part]]:
    """Open the modules that carry weight; return the names of the tensors to merge, and the modules."""
    shares = check_weights(weights, len(modules))
    chosen = [(module, share) for module, share in zip(modules, shares, strict=True) if share > 0]
    parts = [_Part(module.name, module.reader(), share) for module, share in chosen]
    return check_mergeable([module for module, _ in chosen], [part.reader for part in parts]), parts


def check_weights(weights: ArrayLike, n: int) -> list[float]:
    """Return the weights as floats after checking that they lie on the simplex."""
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (n,):
        raise InputError(f"There are {n} modules but weights of shape {shares.shape}.")
    if not np.isfinite(shares).all() or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise InputError(f"Weights must be at least 0 and sum to 1; these sum to {shares.sum():.6g}.")
    return [float(share) for share in shares]


def check_mergeable(modules: Sequence[Module], readers: Sequence[TensorReader]) -> list[str]:
    """Return the tensor names that the modules share.

    Raises:
        NoSharedStartError: one was trained from an initialisation of its own.
        IncompatibleError: naming the first two modules that do not fit.
    """
    check_shared_start([module.card for module in modules])
    first = modules[0]
    names = [name for name in readers[0].names() if name.startswith(first.prefix)]
    for module, reader in zip(modules[1:], readers[1:], strict=True):
        for what, ours, theirs in (
            ("backbone", first.card.backbone, module.card.backbone),
            ("backbone weights", first.card.fingerprint, module.card.fingerprint),
            ("kind", first.card.kind, module.card.kind),
            ("feature layers", first.card.layers, module.card.layers),
        ):
            if ours != theirs:
                raise IncompatibleError(
                    f"Modules {first.name!r} and {module.name!r} cannot be merged: their {what} differ "
                    f"({ours}, {theirs})."
                )
        other = [name for name in reader.names() if name.startswith(module.prefix)]
        if other != names:
            odd = sorted(set(names) ^ set(other))[:5]
            raise IncompatibleError(
                f"Modules {first.name!r} and {module.name!r} cannot be merged: only one of them has {', '.join(odd)}."
            )
    return names


def _average(name: str, parts: Sequence[_Part]) -> Tensor:
    """Average one tensor in float32, reading one module's after another."""
    owner, reader, share = parts[0]
    if len(parts) == 1:
        return reader.tensor(name).clone()
    first = widened(reader.tensor(name))
    total = first.float() * share if first.is_floating_point() else first
    agreed = True
    for other, reader, share in parts[1:]:
        tensor = widened(reader.tensor(name))
        if tensor.shape != first.shape:
            raise IncompatibleError(
                f"Tensor {name!r} has shape {tuple(first.shape)} in {owner!r} and {tuple(tensor.shape)} in {other!r}."
            )
        agreed = agreed and tensor.dtype == first.dtype and torch.equal(tensor, first)
        if first.is_floating_point() and tensor.is_floating_point():
            total.add_(tensor.float(), alpha=share)
        elif not agreed:
            raise IncompatibleError(f"Integer tensor {name!r} differs between {owner!r} and {other!r}.")
    return first.clone() if agreed else total
