"""Modules as the experts of a mixture: the tensors of all of them in one file, and the network again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from moma_app.hub.module import Module, network_from

if TYPE_CHECKING:
    from torch import Tensor

    from moma_app.backbones.base import Backbone
    from moma_app.backbones.mixture import Mixture

EXPERT = "experts."
"""Tensors of expert i are named ``experts.i.`` and their name in its module, heads left out."""


def tensors_of_experts(modules: Sequence[Module]) -> dict[str, Tensor]:
    """Return the parameters of several modules of one backbone and kind, none changed.

    Raises:
        DamagedFileError: a module's file cannot be read.
    """
    return {
        f"{EXPERT}{number}.{name}": tensor
        for number, module in enumerate(modules)
        for name, tensor in module.parameters().items()
    }


def count_experts(names: Iterable[str]) -> int:
    """Return how many experts these names of tensors belong to; 0 for those of one network."""
    return len({name.removeprefix(EXPERT).partition(".")[0] for name in names if name.startswith(EXPERT)})


def mixture_from(backbone: Backbone, kind: str, tensors: Mapping[str, Tensor]) -> Mixture:
    """Return the network whose experts have the parameters of :func:`tensors_of_experts`, in their order.

    Raises:
        RuntimeError: tensors are missing, superfluous or of another shape.
    """
    from moma_app.backbones.mixture import Mixture

    experts: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, own = name.removeprefix(EXPERT).partition(".")
        experts.setdefault(int(number), {})[own] = tensor
    return Mixture([network_from(backbone, kind, experts[number]) for number in sorted(experts)])
