"""Graphs built once per set of structures, kept in one memory-mapped file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from moma_app.backbones.base import Backbone
from moma_app.backbones.graphs import Array, GraphSet
from moma_app.files import atomic_path
from moma_app.progress import Listener, silent
from moma_app.structures import StructureSet

PTR = "ptr:"
FORMAT = "1"


def cached_graphs(
    backbone: Backbone, structures: StructureSet, folder: Path | None, progress: Listener = silent
) -> GraphSet:
    """Return the graphs of ``structures``, from the cache file if they were built before.

    The file's name is a hash of the structures and of the way graphs are built, so a changed
    row or cutoff never meets an old file. A damaged file is built anew. ``folder=None`` turns
    the cache off.

    Raises:
        InputError: as :meth:`Backbone.graphs`.
    """
    if folder is None:
        return backbone.graphs(structures, progress)
    path = folder / f"{backbone.graph_key}-{structure_hash(structures)[:24]}.safetensors"
    if path.is_file():
        try:
            return read_graphs(backbone, path)
        except (SafetensorError, OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
    graphs = backbone.graphs(structures, progress)
    arrays = {name: np.ascontiguousarray(array) for name, array in graphs.arrays.items()}
    arrays |= {f"{PTR}{scope}": ptr for scope, ptr in graphs.ptr.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={"format": FORMAT})
    return graphs


def read_graphs(backbone: Backbone, path: Path) -> GraphSet:
    """Map a graph file into memory; nothing is read until it is used.

    Raises:
        ValueError: the file is cut short or of another format.
        KeyError: it lacks a field of the backbone's schema.
    """
    arrays = _memory_map(path)
    fields = {name: arrays[name] for name in backbone.schema.fields}
    return GraphSet(
        backbone.schema, fields, {scope: arrays[f"{PTR}{scope}"] for scope in backbone.schema.scopes}
    )


def _memory_map(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if not 0 < size < 2**24:
            raise ValueError(f"{path} has no safetensors header")
        header = json.loads(stream.read(size))
    if header.pop("__metadata__", {}).get("format") != FORMAT:
        raise ValueError(f"{path} is of another format")
    kinds = {"F32": "<f4", "F64": "<f8", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
    content = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + size)
    arrays: dict[str, Array] = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if end > len(content):
            raise ValueError(f"{path} is cut short")
        arrays[name] = content[begin:end].view(kinds[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def structure_hash(structures: StructureSet) -> str:
    """Return the SHA-256 of the structures' numbers, cells and coordinates."""
    digest = hashlib.sha256()
    for array, kind in (
        (structures.ptr, "<i8"),
        (structures.numbers, "<i2"),
        (structures.cells, "<f8"),
        (structures.frac_coords, "<f8"),
    ):
        digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return digest.hexdigest()
