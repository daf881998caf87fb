"""Graphs from structures: with all cores, against one process of ours."""

from __future__ import annotations

from moma_app.backbones.registry import get_backbone
from moma_app.bench.inputs import read_inputs
from moma_app.bench.job import Job
from moma_app.bench.work.base import COMPARED, Work
from moma_app.bench.work.cache import sums
from moma_app.bench.work.graphs import build_alone


def ours(job: Job) -> Work:
    """Build as users do; the start of the helping processes counts."""
    structures, _ = read_inputs(job.inputs)
    backbone = get_backbone("chgnet")
    return Work(
        run=lambda: backbone.graphs(structures),
        units=len(structures),
        warm_up=lambda: backbone.graphs(structures[:COMPARED]),
        answer=lambda: sums(backbone.graphs(structures)),
        facts={"memory": "without that of the helping processes"},
    )


def theirs(job: Job) -> Work:
    """Build in this process alone."""
    structures, _ = read_inputs(job.inputs)
    return Work(
        run=lambda: build_alone(structures),
        units=len(structures),
        warm_up=lambda: build_alone(structures[:COMPARED]),
        answer=lambda: sums(build_alone(structures)),
    )
