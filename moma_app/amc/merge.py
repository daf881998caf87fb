"""Eq. 4 of the MoMa paper: one module whose parameters are the weighted average of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from moma_app.errors import IncompatibleError, InputError
from moma_app.hub.module import Module


def merge_modules(modules: Sequence[Module], weights: ArrayLike) -> dict[str, Tensor]:
    """Average the modules' parameters, tensor by tensor, in float32 (MoMa, Eq. 4).

    Args:
        modules: of one backbone (same fingerprint) and one kind.
        weights: one for each module, >= 0, with sum 1.

    Returns:
        The merged tensors by name, heads left out. A module with weight 1 is returned bit for
        bit; a tensor on which all agree is copied; integer tensors must agree.

    Raises:
        IncompatibleError: backbones, kinds, tensor names or shapes differ.
        InputError: the weights are no point of the simplex.
    """
    return dict(iter_merged(modules, weights))


def iter_merged(modules: Sequence[Module], weights: ArrayLike) -> Iterator[tuple[str, Tensor]]:
    """Yield the merged tensors one by one; see :func:`merge_modules`."""
    shares = check_weights(weights, len(modules))
    chosen = [(module, share) for module, share in zip(modules, shares, strict=True) if share > 0]
    names = check_mergeable([module for module, _ in chosen])
    for name in names:
        yield name, _average(name, [(module.name, module.tensor(name), share) for module, share in chosen])


def check_weights(weights: ArrayLike, n: int) -> list[float]:
    """Return the weights as floats after checking that they lie on the simplex."""
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (n,):
        raise InputError(f"There are {n} modules but weights of shape {shares.shape}.")
    if not np.isfinite(shares).all() or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise InputError(f"Weights must be at least 0 and sum to 1; these sum to {shares.sum():.6g}.")
    return [float(share) for share in shares]


def check_mergeable(modules: Sequence[Module]) -> list[str]:
    """Return the tensor names that the modules share.

    Raises:
        IncompatibleError: naming the first two modules that do not fit.
    """
    first = modules[0]
    names = [name for name in first.names() if name.startswith(first.prefix)]
    for module in modules[1:]:
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
        other = [name for name in module.names() if name.startswith(module.prefix)]
        if other != names:
            odd = sorted(set(names) ^ set(other))[:5]
            raise IncompatibleError(
                f"Modules {first.name!r} and {module.name!r} cannot be merged: only one of them has {', '.join(odd)}."
            )
    return names


def _average(name: str, parts: Sequence[tuple[str, Tensor, float]]) -> Tensor:
    owner, first, share = parts[0]
    if all(tensor.shape == first.shape and torch.equal(tensor, first) for _, tensor, _ in parts[1:]):
        return first.clone()
    for other, tensor, _ in parts[1:]:
        if tensor.shape != first.shape:
            raise IncompatibleError(
                f"Tensor {name!r} has shape {tuple(first.shape)} in {owner!r} and {tuple(tensor.shape)} in {other!r}."
            )
        if not tensor.is_floating_point():
            raise IncompatibleError(f"Integer tensor {name!r} differs between {owner!r} and {other!r}.")
    total = first.float() * share
    for _, tensor, part in parts[1:]:
        total.add_(tensor.float(), alpha=part)
    return total
