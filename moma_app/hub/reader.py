"""Tensors of one module, read one at a time, from a file that stays open or from memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from moma_app.errors import DamagedFileError
from moma_app.hub.opening import open_tensors

MAPPED_BYTES = 32 * 2**20
"""What a file may keep in memory of the tensors already read."""
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The types of a module's tensors, by their names in a safetensors file."""
HALVES = (torch.float16, torch.bfloat16)
"""Types that tensors are stored in, but never computed with."""


class TensorSpec(NamedTuple):
    """What is known of a tensor before it is read.

    Attributes:
        dtype: its type.
        shape: its shape.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]


def widened(tensor: Tensor) -> Tensor:
    """Return a tensor in half precision as float32, which is exact; any other as it is."""
    return tensor.float() if tensor.dtype in HALVES else tensor


class TensorReader(Protocol):
    """Reads tensors by name."""

    def names(self) -> list[str]:
        """Names of all tensors, sorted."""

    def spec(self, name: str) -> TensorSpec:
        """Type and shape of a tensor, without reading it."""

    def tensor(self, name: str) -> Tensor:
        """Read one tensor."""


class MemoryReader:
    """Tensors in memory."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def names(self) -> list[str]:
        """Names of all tensors, sorted."""
        return sorted(self._tensors)

    def spec(self, name: str) -> TensorSpec:
        """Type and shape of a tensor."""
        return TensorSpec(self._tensors[name].dtype, tuple(self._tensors[name].shape))

    def tensor(self, name: str) -> Tensor:
        """Return one tensor, which is not to be changed."""
        return self._tensors[name]


class FileReader:
    """Tensors of a safetensors file, mapped into memory.

    A tensor is a view of the mapped file. What was read of a mapping stays in memory until the
    mapping and its tensors are gone, so a reader takes a new one from time to time.

    Raises:
        DamagedFileError: the file is missing, cut short or no safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors = open_tensors(path, "pt")
        self._read_bytes = 0

    def names(self) -> list[str]:
        """Names of all tensors, sorted."""
        return sorted(self._tensors.keys())

    def spec(self, name: str) -> TensorSpec:
        """Type and shape of a tensor, without reading it.

        Raises:
            DamagedFileError: its type is none that modules have.
        """
        header = self._tensors.get_slice(name)
        if header.get_dtype() not in DTYPES:
            raise DamagedFileError(f"{self._path}: tensor {name!r} is of type {header.get_dtype()}.")
        return TensorSpec(DTYPES[header.get_dtype()], tuple(header.get_shape()))

    def tensor(self, name: str) -> Tensor:
        """Read one tensor."""
        if self._read_bytes > MAPPED_BYTES:
            self._tensors = open_tensors(self._path, "pt")
            self._read_bytes = 0
        tensor: Tensor = self._tensors.get_tensor(name)
        self._read_bytes += tensor.nbytes
        return tensor
