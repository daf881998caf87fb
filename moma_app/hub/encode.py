"""Crystal embeddings of many structures by many modules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.backbones.base import Backbone, Network
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.inference import apply_in_batches
from moma_app.backbones.stacking import embed_with_all
from moma_app.choices import Layers, Pooling
from moma_app.errors import MomaError
from moma_app.hub.module import Module
from moma_app.progress import Listener, silent

MODULES_AT_ONCE = {"cpu": 4, "cuda": 16}
"""Modules that share a pass over the structures: more of them share more, fewer show a result sooner."""


class Encoded(NamedTuple):
    """What one module makes of the structures.

    Attributes:
        module: whose parameters were used.
        embeddings: float32 on the CPU, [m, d].
        seconds: the module's share of the time of its pass.
    """

    module: Module
    embeddings: Tensor
    seconds: float


def encode(
    module: Module | None,
    backbone: Backbone,
    graphs: GraphSet,
    rows: NDArray[Any] | None = None,
    *,
    layers: Layers,
    pooling: Pooling = "mean",
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return crystal embeddings by one module (``None``: the bare pre-trained backbone), [m, d].

    Args:
        module: whose parameters to use.
        backbone: the module's backbone.
        graphs: of the task's structures.
        rows: which of them, in this order; all by default.
        layers: which interaction layers make up the embedding.
        pooling: mean over atoms, or sum for an extensive property.
        device: where to run.

    Raises:
        IncompatibleError: the module was made for another backbone.
        DamagedFileError: the module's file cannot be read.
    """
    network = backbone.pretrained() if module is None else module.network(backbone)
    return _embed([network], graphs, rows, layers=layers, pooling=pooling, device=device)[0]


def encode_modules(
    modules: Sequence[Module],
    backbone: Backbone,
    graphs: GraphSet,
    rows: NDArray[Any] | None = None,
    *,
    layers: Layers,
    pooling: Pooling = "mean",
    gate: Callable[[Module], Tensor | None] | None = None,
    device: torch.device | str = "cpu",
    on_error: Callable[[Module, MomaError], None] | None = None,
    progress: Listener = silent,
) -> Iterator[Encoded]:
    """Yield crystal embeddings by each of several modules as soon as they are there.

    Modules go through the structures in groups, which share everything that does not depend on
    the module. Arguments are those of :func:`encode`, and

    Args:
        modules: all full, or all adapter modules.
        gate: returns a module's gate, for pooling by attention.
        on_error: called with a module that cannot be loaded, which is then left out; by default
            the error is raised.
        progress: gets a ``Step`` after each batch of structures.

    Raises:
        IncompatibleError: a module was made for another backbone.
        DamagedFileError: a module's file cannot be read.
    """
    at_once = MODULES_AT_ONCE.get(torch.device(device).type, MODULES_AT_ONCE["cpu"])
    for start in range(0, len(modules), at_once):
        begun = time.perf_counter()
        group: list[Module] = []
        networks: list[Network] = []
        gates: list[Tensor] = []
        for module in modules[start : start + at_once]:
            try:
                own = gate(module) if gate is not None else None
                networks.append(module.network(backbone))
                group.append(module)
                gates += [] if own is None else [own.detach()]
            except MomaError as exc:
                if on_error is None:
                    raise
                on_error(module, exc)
        if not group:
            continue
        embeddings = _embed(
            networks,
            graphs,
            rows,
            layers=layers,
            pooling=pooling,
            gates=gates or None,
            device=device,
            progress=progress,
        )
        seconds = (time.perf_counter() - begun) / len(group)
        for module, embedding in zip(group, embeddings, strict=True):
            yield Encoded(module, embedding, seconds)


def _embed(
    networks: list[Network],
    graphs: GraphSet,
    rows: NDArray[Any] | None,
    *,
    layers: Layers,
    pooling: Pooling,
    gates: list[Tensor] | None = None,
    device: torch.device | str,
    progress: Listener = silent,
) -> Tensor:
    """Return embeddings by each network, [n_networks, m, d]."""
    for network in networks:
        network.to(device).eval()
    embed = embed_with_all(networks, layers, pooling, gates and [gate.to(device) for gate in gates])
    embeddings = apply_in_batches(embed, graphs, rows, device, copies=len(networks), progress=progress)
    return embeddings if embeddings.dim() == 3 else embeddings.expand(len(networks), 0, 0)
