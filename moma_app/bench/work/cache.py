"""Graphs from the cache file, against building them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moma_app.backbones.cache import cached_graphs
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.registry import get_backbone
from moma_app.bench.inputs import read_inputs
from moma_app.bench.job import Job
from moma_app.bench.work.base import COMPARED, Work
from moma_app.bench.work.graphs import build_alone

PAGE = 4096
"""Bytes of memory that are read from a mapped file at a time, at least."""


def ours(job: Job) -> Work:
    """Find the file by the structures' content, and have all of it in memory."""
    structures, _ = read_inputs(job.inputs)
    backbone = get_backbone("chgnet")
    folder = Path(job.scratch) / "graphs"
    cached_graphs(backbone, structures, folder)

    def run() -> int:
        # The file is mapped, and a page of it is read when it is first used: use one byte of each.
        graphs = cached_graphs(backbone, structures, folder)
        arrays = (*graphs.arrays.values(), *graphs.ptr.values())
        return sum(int(np.sum(array.view(np.uint8)[::PAGE])) for array in arrays)

    return Work(
        run,
        units=len(structures),
        warm_up=run,
        answer=lambda: sums(cached_graphs(backbone, structures, folder)),
        facts={"file": "in the system's page cache"},
    )


def theirs(job: Job) -> Work:
    """Build the graphs anew."""
    structures, _ = read_inputs(job.inputs)
    return Work(
        run=lambda: build_alone(structures),
        units=len(structures),
        warm_up=lambda: build_alone(structures[:COMPARED]),
        answer=lambda: sums(build_alone(structures)),
    )


def sums(graphs: GraphSet) -> list[float]:
    """Return the sum of every array of the graphs, to compare graph sets by."""
    return [float(np.sum(graphs.arrays[name], dtype=np.float64)) for name in sorted(graphs.arrays)]
