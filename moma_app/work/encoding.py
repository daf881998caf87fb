"""Encoding on several workers: one piece is one module on one chunk of a task's structures."""

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
from moma_app.backbones.base import Layers, Pooling
from moma_app.backbones.cache import cached_graphs
from moma_app.backbones.registry import get_backbone
from moma_app.config import get_settings
from moma_app.errors import DamagedFileError
from moma_app.hub.encode import Encoded, encode
from moma_app.hub.hub import Hub
from moma_app.jobs.context import Context
from moma_app.jobs.pieces import workers_of_this_run
from moma_app.progress import Step
from moma_app.runtime import pick_device, prepare
from moma_app.structures import StructureSet
from moma_app.tasks import get_task

CHUNK = 2000
"""Structures of a piece: some ten seconds on a CPU core, against milliseconds to hand it out."""
WORTH_SPREADING = 4000
"""Structures times modules from which on more workers are asked."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """One piece of an encoding.

    Attributes:
        task: name of the task.
        rows: positions of the structures in the task's data, int64 [n].
        hub: address of the hub.
        carried: whether the modules came with the order; they are then the settings' own hub.
        module, sha256: the module, and its tensor file.
        layers, pooling: what makes up an embedding.
        device: where to encode.
    """

    task: str
    rows: NDArray[np.int64]
    hub: str | None
    carried: bool
    module: str
    sha256: str
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
        chunks = [asked.rows[start : start + self.chunk] for start in range(0, len(asked.rows), self.chunk)]
        plan = [(module, number) for module in range(len(asked.modules)) for number in range(len(chunks))]
        pieces = [
            Chunk(
                task=asked.task,
                rows=chunks[number],
                hub=self.hub,
                carried=self.context.carried is not None,
                module=asked.modules[module].name,
                sha256=asked.modules[module].card.sha256,
                layers=asked.layers,
                pooling=asked.pooling,
                device=self.device,
            )
            for module, number in plan
        ]
        arrived: list[dict[int, NDArray[np.float32]]] = [{} for _ in asked.modules]
        seconds = [0.0] * len(asked.modules)
        for done, (piece, (embeddings, spent)) in enumerate(
            self.context.spread(encode_chunk, pieces), start=1
        ):
            module, number = plan[piece]
            arrived[module][number] = embeddings
            seconds[module] += spent
            asked.progress(Step(what="pieces encoded", done=done, total=len(plan), fraction=done / len(plan)))
            if len(arrived[module]) == len(chunks):
                whole = np.concatenate([arrived[module].pop(number) for number in range(len(chunks))])
                yield Encoded(asked.modules[module], torch.from_numpy(whole), seconds[module])


def encode_chunk(chunk: Chunk) -> tuple[NDArray[np.float32], float]:
    """Return the embeddings [n, d] of some structures by one module, and the seconds it took.

    Raises:
        DataNotFoundError: this machine lacks the task's data.
        DamagedFileError: the module here is not the one that was asked for.
    """
    started = time.perf_counter()
    prepare()
    settings = get_settings()
    own = chunk.carried and chunk.hub not in (None, "builtin")
    module = Hub.open(settings.hub_folder if own else chunk.hub)[chunk.module]
    if module.card.sha256 != chunk.sha256:
        raise DamagedFileError(
            f"Module {chunk.module} on {platform.node()} (SHA-256 {module.card.sha256[:12]}…) is not the one that the "
            f"run began with ({chunk.sha256[:12]}…)."
        )
    backbone = get_backbone(module.card.backbone)
    files = get_task(chunk.task).files()
    state = tuple((str(path), path.stat().st_mtime_ns) for path in files.values())
    structures = _structures(chunk.task, state).take(chunk.rows)
    graphs = cached_graphs(backbone, structures, settings.graph_folder)
    embeddings = encode(
        module,
        backbone,
        graphs,
        layers=chunk.layers,
        pooling=chunk.pooling,
        device=pick_device(chunk.device),
    )
    return embeddings.numpy(), time.perf_counter() - started


@lru_cache(maxsize=1)
def _structures(task: str, _state: tuple[tuple[str, int], ...]) -> StructureSet:
    """Read a task's structures; the next pieces on this worker are of the same ones."""
    return get_task(task).load().structures
