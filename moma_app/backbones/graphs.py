"""Graphs as flat arrays whose scopes are declared, so that batching needs no per-field code.

A *scope* is what the rows of an array belong to: ``atom``, ``edge``, ``bond``, ``angle``, ....
A field may hold indices into a scope; when graphs are packed into a batch those indices are
shifted by the number of rows that stand before. A backbone declares its fields once, in a
:class:`Schema`, and never writes a loop over structures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import IncompatibleError

if TYPE_CHECKING:  # processes that build graphs start in half the time without torch
    import torch
    from torch import Tensor

Array = NDArray[Any]
Indices = Sequence[int] | NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Field:
    """Declaration of one array of a graph.

    Attributes:
        scope: what a row belongs to.
        refers_to: the scope whose rows this array's values index, or ``None``.
        dtype: NumPy type in memory and on disk.
        shape: shape of one row; ``()`` for a scalar.
    """

    scope: str
    dtype: str
    refers_to: str | None = None
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.refers_to is not None and np.dtype(self.dtype).kind != "i":
            raise TypeError(f"A field that refers to {self.refers_to!r} must hold integers, not {self.dtype}")


@dataclass(frozen=True)
class Schema:
    """The fields of a backbone's graphs; ``atom`` is a scope of every schema."""

    fields: Mapping[str, Field]

    def __post_init__(self) -> None:
        scopes = {field.scope for field in self.fields.values()}
        if "atom" not in scopes:
            raise TypeError("A schema needs a field of scope 'atom'")
        for name, field in self.fields.items():
            if field.refers_to is not None and field.refers_to not in scopes:
                raise TypeError(f"Field {name!r} refers to {field.refers_to!r}, which no field belongs to")

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes in the order in which they first appear."""
        return tuple(dict.fromkeys(field.scope for field in self.fields.values()))


@dataclass(frozen=True, eq=False)
class Graph:
    """One structure as arrays, checked against its schema."""

    schema: Schema
    arrays: Mapping[str, Array]

    def __post_init__(self) -> None:
        if self.arrays.keys() != self.schema.fields.keys():
            raise TypeError(
                f"A graph needs the fields {sorted(self.schema.fields)}, got {sorted(self.arrays)}"
            )
        for scope in self.schema.scopes:
            lengths = {
                name: len(self.arrays[name]) for name, f in self.schema.fields.items() if f.scope == scope
            }
            if len(set(lengths.values())) != 1:
                raise TypeError(f"Fields of scope {scope!r} differ in length: {lengths}")

    def count(self, scope: str) -> int:
        """Number of rows in a scope."""
        name = next(name for name, f in self.schema.fields.items() if f.scope == scope)
        return len(self.arrays[name])


@dataclass(frozen=True, eq=False)
class Batch:
    """Several graphs as one disconnected graph of tensors.

    Attributes:
        tensors: the schema's fields, with indices shifted to the batch; integers are int64.
        ptr: per scope, rows ptr[i]:ptr[i+1] belong to structure i, int64 [n_structures + 1].
    """

    tensors: Mapping[str, Tensor]
    ptr: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __len__(self) -> int:
        return len(self.ptr["atom"]) - 1

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each structure, int64 [n_structures]."""
        return self.ptr["atom"].diff()

    @property
    def n_atoms_total(self) -> int:
        """Number of atoms of the whole batch."""
        return len(self.tensors["numbers"])

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device; the original stays as it is."""
        return Batch(
            {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()},
            {scope: tensor.to(device, non_blocking=True) for scope, tensor in self.ptr.items()},
        )

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, for fast copies to a GPU."""
        return Batch(
            {name: tensor.pin_memory() for name, tensor in self.tensors.items()},
            {scope: tensor.pin_memory() for scope, tensor in self.ptr.items()},
        )


class GraphSet:
    """Many graphs of one schema, packed: a batch is a slice of flat arrays.

    Attributes:
        schema: declaration of the fields.
        arrays: all graphs' rows, one after another; indices count from each graph's first row.
        ptr: per scope, rows ptr[i]:ptr[i+1] belong to graph i, int64 [n + 1].
    """

    def __init__(
        self, schema: Schema, arrays: Mapping[str, Array], ptr: Mapping[str, NDArray[np.int64]]
    ) -> None:
        self.schema = schema
        self.arrays = arrays
        self.ptr = ptr

    @classmethod
    def pack(cls, schema: Schema, graphs: Iterable[Graph]) -> GraphSet:
        """Pack graphs in the given order.

        Raises:
            IncompatibleError: a graph has another schema.
        """
        graphs = list(graphs)
        if any(graph.schema is not schema and graph.schema != schema for graph in graphs):
            raise IncompatibleError("Graphs of different backbones cannot be packed together.")
        arrays = {
            name: np.concatenate(
                [np.zeros((0, *f.shape), f.dtype), *(graph.arrays[name].astype(f.dtype) for graph in graphs)]
            )
            for name, f in schema.fields.items()
        }
        ptr = {
            scope: np.concatenate([[0], np.cumsum([graph.count(scope) for graph in graphs])]).astype(np.int64)
            for scope in schema.scopes
        }
        return cls(schema, arrays, ptr)

    @classmethod
    def from_counted_through(
        cls, schema: Schema, arrays: Mapping[str, Array], ptr: Mapping[str, NDArray[np.int64]]
    ) -> GraphSet:
        """Make a set of flat arrays whose indices count through the whole set, not within each graph."""
        local = {}
        for name, field in schema.fields.items():
            values = arrays[name]
            if field.refers_to is not None:
                shift = np.repeat(ptr[field.refers_to][:-1], np.diff(ptr[field.scope]))
                values = values - shift.reshape(-1, *(1 for _ in field.shape))
            local[name] = values.astype(field.dtype, copy=False)
        return cls(schema, local, ptr)

    @classmethod
    def join(cls, schema: Schema, parts: Sequence[GraphSet]) -> GraphSet:
        """Put sets of graphs one after another."""
        arrays = {
            name: np.concatenate([np.zeros((0, *f.shape), f.dtype), *(part.arrays[name] for part in parts)])
            for name, f in schema.fields.items()
        }
        counts = {
            scope: np.concatenate([np.zeros(1, np.int64), *(part.count(scope) for part in parts)])
            for scope in schema.scopes
        }
        return cls(schema, arrays, {scope: np.cumsum(values) for scope, values in counts.items()})

    def __len__(self) -> int:
        return len(self.ptr["atom"]) - 1

    def __getitem__(self, index: int) -> Graph:
        """Return one graph; its arrays are views."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return Graph(
            self.schema,
            {
                name: self.arrays[name][self.ptr[f.scope][index] : self.ptr[f.scope][index + 1]]
                for name, f in self.schema.fields.items()
            },
        )

    def count(self, scope: str) -> NDArray[np.int64]:
        """Rows of a scope in each graph, int64 [n]."""
        return np.diff(self.ptr[scope])

    def batch(self, indices: Indices) -> Batch:
        """Collate the graphs at ``indices``, in that order, without a loop over them."""
        import torch

        chosen = np.asarray(indices, dtype=np.int64)
        rows: dict[str, NDArray[np.int64]] = {}
        ptr: dict[str, NDArray[np.int64]] = {}
        for scope in self.schema.scopes:
            counts = self.count(scope)[chosen]
            ptr[scope] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            first = np.repeat(self.ptr[scope][chosen] - ptr[scope][:-1], counts)
            rows[scope] = np.arange(ptr[scope][-1]) + first
        tensors = {}
        for name, field in self.schema.fields.items():
            values = self.arrays[name][rows[field.scope]]
            if field.refers_to is not None:
                shift = np.repeat(ptr[field.refers_to][:-1], np.diff(ptr[field.scope]))
                values = values.astype(np.int64) + shift.reshape(-1, *(1 for _ in field.shape))
            elif values.dtype.kind == "i":
                values = values.astype(np.int64)
            tensors[name] = torch.from_numpy(np.ascontiguousarray(values))
        return Batch(tensors, {scope: torch.from_numpy(values) for scope, values in ptr.items()})


def owners(ptr: Tensor) -> Tensor:
    """Return which structure each row belongs to, int64 [n_rows], from pointers [n + 1]."""
    import torch

    counts = ptr.diff()
    return torch.repeat_interleave(torch.arange(len(counts), device=ptr.device), counts)
