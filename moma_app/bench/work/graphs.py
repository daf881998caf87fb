"""Graphs from structures, in one process."""

from __future__ import annotations

from typing import Any

import numpy as np

from moma_app.backbones.building import build_in_chunks
from moma_app.backbones.graphs import GraphSet
from moma_app.backbones.registry import get_backbone
from moma_app.bench.inputs import read_inputs
from moma_app.bench.job import Job
from moma_app.bench.work import reference
from moma_app.bench.work.base import COMPARED, Work
from moma_app.structures import StructureSet


def build_alone(structures: StructureSet) -> GraphSet:
    """Build CHGNet's graphs in this process, without help by others."""
    backbone = get_backbone("chgnet")
    return build_in_chunks(backbone.builder, backbone.schema, structures, processes=1)


def ours(job: Job) -> Work:
    """Build graphs from packed structures."""
    structures, _ = read_inputs(job.inputs)
    facts: dict[str, Any] = {}

    def answer() -> list[list[int]]:
        graphs = build_alone(structures)
        facts["kB a structure"] = size_of(graphs) / len(structures) / 1e3
        counts: list[list[int]] = np.stack([graphs.count("edge"), graphs.count("angle")], axis=1).tolist()
        return counts

    return Work(
        run=lambda: build_alone(structures),
        units=len(structures),
        warm_up=lambda: build_alone(structures[:COMPARED]),
        answer=answer,
        facts=facts,
    )


def size_of(graphs: GraphSet) -> int:
    """Return the bytes of all arrays, which are those of the cache file but for its header."""
    return sum(array.nbytes for array in (*graphs.arrays.values(), *graphs.ptr.values()))


def theirs(job: Job) -> Work:
    """Build graphs from pymatgen structures, which exist already."""
    structures, _ = read_inputs(job.inputs)
    converter = reference.load_model("cpu").graph_converter
    crystals = structures.to_pymatgen()

    def answer() -> list[list[int]]:
        graphs = [converter(crystal) for crystal in crystals]
        return [[len(graph.atom_graph), len(graph.bond_graph)] for graph in graphs]

    return Work(
        run=lambda: [converter(crystal) for crystal in crystals],
        units=len(crystals),
        warm_up=lambda: [converter(crystal) for crystal in crystals[:COMPARED]],
        answer=answer,
    )
