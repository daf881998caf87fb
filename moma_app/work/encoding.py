"""Encoding on several workers: one piece is a chunk of a task's structures by a few modules.

The modules of a piece share one pass over the chunk's graphs, as they do in one process. Two pieces
of the same chunk find its graphs in the cache.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from moma_app.amc.compose import EncodingTask, encode_here
from moma_app.backbones.cache import cached_graphs
from moma_app.backbones.registry import get_backbone
from moma_app.choices import Layers, Pooling
from moma_app.config import get_settings
from moma_app.errors import DamagedFileError
from moma_app.hub.encode import MODULES_AT_ONCE, Encoded, encode_modules
from moma_app.hub.hub import Hub
from moma_app.hub.places import on_every_machine
from moma_app.jobs.context import Context
from moma_app.jobs.pieces import workers_of_this_run
from moma_app.progress import Listener, Step, silent
from moma_app.runtime import pick_device, prepare
from moma_app.structures import StructureSet
from moma_app.tasks import get_task

CHUNK = 5000
"""Structures of a piece: minutes on a CPU core, seconds on a GPU, against milliseconds to hand it out."""
WORTH_SPREADING = 4000
"""Structures times modules from which on more workers are asked."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One piece of an encoding.

    Attributes:
        task: name of the task.
        rows: positions of the structures in the task's data, int32 [n].
        hub: address of the hub.
        carried: whether the modules came with the order; they are then the settings' own hub.
        modules: names, and SHA-256 of their tensor files.
        layers, pooling: what makes up an embedding.
        device: where to encode.
    """

    task: str
    rows: NDArray[np.int32]
    hub: str | None
    carried: bool
    modules: tuple[tuple[str, str], ...]
    layers: Layers
    pooling: Pooling
    device: str


class SpreadEncoder:
    """Encodes on all workers of the run's cluster; with one worker, or little to do, in this process.

    Args:
        context: of the run.
        hub: address of the hub that the modules are from, as the workers find it.
        device: as asked for; each worker resolves ``auto`` itself.
        chunk: structures of a piece.
        least: structures times modules from which on other workers are asked.
    """

    def __init__(
        self,
        context: Context,
        hub: str | None,
        device: str,
        *,
        chunk: int = CHUNK,
        least: int = WORTH_SPREADING,
    ) -> None:
        self.context = context
        self.hub = hub
        self.device = device
        self.chunk = chunk
        self.least = least

    def __call__(self, asked: EncodingTask) -> Iterator[Encoded]:
        """Yield each module's embeddings as soon as its last chunk is there."""
        if len(asked.rows) * len(asked.modules) < self.least or workers_of_this_run() == 1:
            yield from encode_here(asked)
            return
        at_once = MODULES_AT_ONCE.get(asked.device.type, MODULES_AT_ONCE["cpu"])
        groups = [asked.modules[start : start + at_once] for start in range(0, len(asked.modules), at_once)]
        chunks = [asked.rows[start : start + self.chunk] for start in range(0, len(asked.rows), self.chunk)]
        plan = [(group, number) for group in range(len(groups)) for number in range(len(chunks))]
        pieces = [
            Piece(
                task=asked.task,
                rows=chunks[number].astype(np.int32),
                hub=self.hub,
                carried=self.context.carried is not None,
                modules=tuple((module.name, module.card.sha256) for module in groups[group]),
                layers=asked.layers,
                pooling=asked.pooling,
                device=self.device,
            )
            for group, number in plan
        ]
        arrived: list[dict[int, NDArray[np.float32]]] = [{} for _ in groups]
        seconds = [0.0] * len(groups)
        for done, (piece, (embeddings, spent)) in enumerate(
            self.context.spread(encode_piece, pieces), start=1
        ):
            group, number = plan[piece]
            arrived[group][number] = embeddings
            seconds[group] += spent
            asked.progress(Step(what="pieces encoded", done=done, total=len(plan), fraction=done / len(plan)))
            if len(arrived[group]) == len(chunks):
                whole = np.concatenate([arrived[group].pop(i) for i in range(len(chunks))], axis=1)
                for module, encoded in zip(groups[group], whole, strict=True):
                    yield Encoded(module, torch.from_numpy(encoded), seconds[group] / len(groups[group]))


def encode_piece(piece: Piece, progress: Listener = silent) -> tuple[NDArray[np.float32], float]:
    """Return embeddings [modules, n, d] of some structures by some modules, and the seconds it took.

    Raises:
        DataNotFoundError: this machine lacks the task's data.
        DamagedFileError: a module here is not the one that was asked for.
    """
    started = time.perf_counter()
    prepare()
    settings = get_settings()
    own = piece.carried and not on_every_machine(piece.hub)
    hub = Hub.open(settings.hub_folder if own else piece.hub)
    modules = [hub[name] for name, _ in piece.modules]
    for module, (name, sha256) in zip(modules, piece.modules, strict=True):
        if module.card.sha256 != sha256:
            raise DamagedFileError(
                f"Module {name} on {platform.node()} (SHA-256 {module.card.sha256[:12]}…) is not the one that the run "
                f"began with ({sha256[:12]}…)."
            )
    backbone = get_backbone(modules[0].card.backbone)
    files = get_task(piece.task).files()
    state = tuple((str(path), path.stat().st_mtime_ns) for path in files.values())
    structures = _structures(piece.task, state).take(piece.rows)
    graphs = cached_graphs(backbone, structures, settings.graph_folder, progress)
    encoded = encode_modules(
        modules,
        backbone,
        graphs,
        layers=piece.layers,
        pooling=piece.pooling,
        device=pick_device(piece.device),
        progress=progress,
    )
    embeddings = np.stack([each.embeddings.numpy() for each in encoded])
    return embeddings, time.perf_counter() - started


@lru_cache(maxsize=1)
def _structures(task: str, _state: tuple[tuple[str, int], ...]) -> StructureSet:
    """Read a task's structures; the next pieces on this worker are of the same ones."""
    return get_task(task).load().structures
