"""The chgnet package as its users have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from moma_app.structures import StructureSet


def load_model(device: str) -> Any:
    """Return the package's pre-trained model, v0.3.0."""
    from chgnet.model import CHGNet

    return CHGNet.load(use_device=device, verbose=False)


def convert(model: Any, structures: StructureSet) -> list[Any]:
    """Build the package's graphs of structures, with its own converter."""
    return [model.graph_converter(structure) for structure in structures.to_pymatgen()]


def crystal_features(model: Any, graphs: Sequence[Any]) -> list[list[float]]:
    """Return the package's crystal features per atom, [n, 64] (its pooling is a sum)."""
    with torch.no_grad():
        found = model.predict_graph(list(graphs), task="e", return_crystal_feas=True)
    rows = found if isinstance(found, list) else [found]
    return [
        (row["crystal_fea"] / len(graph.atomic_number)).tolist()
        for row, graph in zip(rows, graphs, strict=True)
    ]
