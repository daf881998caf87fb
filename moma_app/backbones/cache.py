"""Graphs built once per set of structures, kept in one memory-mapped file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import Timeout
from safetensors.numpy import save_file

from moma_app.backbones.base import Backbone
from moma_app.backbones.graphs import Array, GraphSet
from moma_app.files import atomic_path, lock_for
from moma_app.progress import Listener, Note, silent
from moma_app.structures import StructureSet

PTR = "ptr:"
FORMAT = "2"
"""Raised when graphs are arranged in another way, so that results do not depend on a file's age."""


def cached_graphs(
    backbone: Backbone, structures: StructureSet, folder: Path | None, progress: Listener = silent
) -> GraphSet:
    """Return the graphs of ``structures``, from the cache file if they were built before.

    The file's name is a hash of the structures and of the way graphs are built, so a changed
    row or cutoff never meets an old file. A damaged file is built anew. Of several processes that
    need the same file one builds it, and the others wait. ``folder=None`` turns the cache off.

    Raises:
        InputError: as :meth:`Backbone.graphs`.
    """
    if folder is None:
        return backbone.graphs(structures, progress)
    path = folder / f"{backbone.graph_key}-{structure_hash(structures)[:24]}.safetensors"
    found = _read_if_sound(backbone, path)
    if found is None:
        with _only_one(path, progress):
            found = _read_if_sound(backbone, path)
            if found is None:
                _write(backbone.graphs(structures, progress), path)
                # Pages of the file can be dropped when memory is short; the arrays just built cannot.
                found = read_graphs(backbone, path)
    return found


def _read_if_sound(backbone: Backbone, path: Path) -> GraphSet | None:
    try:
        return read_graphs(backbone, path) if path.is_file() else None
    except (OSError, ValueError, KeyError):
        return None


@contextmanager
def _only_one(path: Path, progress: Listener) -> Iterator[None]:
    """Let one process at a time work on ``path``, and say so if this one has to wait."""
    lock = lock_for(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(Note(message="Another process is building these graphs: waiting for it."))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write(graphs: GraphSet, path: Path) -> None:
    arrays = {name: np.ascontiguousarray(array) for name, array in graphs.arrays.items()}
    arrays |= {f"{PTR}{scope}": ptr for scope, ptr in graphs.ptr.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={"format": FORMAT})


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
        digest.update(np.ascontiguousarray(array, dtype=kind).data)
    return digest.hexdigest()
