"""Safetensors files written tensor by tensor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from moma_app.hub.reader import DTYPES, TensorSpec

NAMES_OF_DTYPES = {dtype: name for name, dtype in DTYPES.items()}


def by_size(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """Order tensors as a file needs them: large types first, so that each begins at a multiple of its size."""
    return dict(sorted(specs.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))


def write_tensors(path: Path, specs: Mapping[str, TensorSpec], tensors: Iterable[Tensor]) -> None:
    """Write a safetensors file with one tensor in memory at a time.

    The format: the header's length in 8 bytes, the header in JSON, the tensors' bytes one after
    another (https://github.com/huggingface/safetensors#format).

    Args:
        path: the file to write.
        specs: type and shape of each tensor, in the order of :func:`by_size`.
        tensors: the same tensors in the same order.

    Raises:
        ValueError: a tensor is not as announced.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in specs.items():
        start, end = end, end + dtype.itemsize * torch.Size(shape).numel()
        header[name] = {"dtype": NAMES_OF_DTYPES[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begin at a multiple of 8
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for (name, spec), tensor in zip(specs.items(), tensors, strict=True):
            if (tensor.dtype, tuple(tensor.shape)) != spec:
                raise ValueError(
                    f"Tensor {name!r} was announced as {spec}, but is {tensor.dtype}, {tensor.shape}."
                )
            stream.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
