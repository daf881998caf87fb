"""Structures that a backbone cannot make graphs of: which they are, and the graphs of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moma_app.backbones.base import Backbone
from moma_app.backbones.cache import cached_graphs
from moma_app.backbones.graphs import GraphSet
from moma_app.errors import StructureRefusedError
from moma_app.progress import Listener, Note, silent
from moma_app.structures import StructureSet


def refused_structures(backbone: Backbone, structures: StructureSet) -> dict[int, str]:
    """Return the positions of the structures that the backbone refuses, each with the reason."""
    refused: dict[int, str] = {}
    first = 0
    while first < len(structures):
        try:
            backbone.graphs(structures[first:])
        except StructureRefusedError as exc:
            refused[first + exc.position] = exc.reason
            first += exc.position + 1
        else:
            break
    return refused


def cached_usable_graphs(
    backbone: Backbone, structures: StructureSet, folder: Path | None, progress: Listener = silent
) -> tuple[GraphSet, NDArray[np.int64]]:
    """Return the graphs of the structures that have one, and the positions of these, int64 [n].

    As :func:`moma_app.backbones.cache.cached_graphs`, but a structure that the backbone refuses is
    left out, and ``progress`` is told how many there are and why.
    """
    everything = np.arange(len(structures), dtype=np.int64)
    try:
        return cached_graphs(backbone, structures, folder, progress), everything
    except StructureRefusedError:
        refused = refused_structures(backbone, structures)
    reason = next(iter(refused.values()))
    progress(
        Note(
            message=f"{len(refused)} of {len(structures):,} structures left out, which {backbone.info.name} cannot "
            f"make graphs of. The first: {reason}"
        )
    )
    usable = np.delete(everything, list(refused))
    return cached_graphs(backbone, structures.take(usable), folder, progress), usable
