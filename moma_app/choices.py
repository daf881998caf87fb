"""Names that settings and results choose from; a file of their own, because it must import nothing heavy."""

from __future__ import annotations

import os
from typing import Literal, cast

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "tf32", "bf16"]
Kernel = Literal["auto", "native", "torch"]
Engine = Literal["local", "inline"]
LogLevel = Literal["debug", "info", "warning", "error"]
Layers = Literal["all", "last", "last-softplus"]
"""Interaction layers whose atom features make up an embedding.

``last-softplus`` is the softplus of the mean of the last layer's, as the extractors of Chang et al. are read.
"""
Pooling = Literal["mean", "sum", "max", "attention"]
"""How the features of a crystal's atoms become its own, see :func:`moma_app.backbones.base.pool`."""
HeadPooling = Literal["mean", "max", "attention"]
"""What a head may ask for; whether a mean is a sum is decided by the property."""
Storage = Literal["float32", "float16", "bfloat16"]
"""Types in which a module's matrices lie on disk, see :mod:`moma_app.hub.storage`."""
Weighting = Literal["amc", "select-average", "all-average", "random", "best-single"]
"""Rules for a composition's weights, see :mod:`moma_app.amc.weighting`.

``amc``: the optimum of Eq. 2-3. ``select-average``: equal weights over the modules that AMC gives
weight. ``all-average``: equal weights over all usable modules. ``random``: equal weights over as many
modules as AMC selects, drawn at random. ``best-single``: the module with the lowest proxy error alone.
"""


def precision_setting() -> Precision:
    """Return the arithmetic that the settings ask for on a GPU (``MOMA_PRECISION``)."""
    try:
        from moma_app.config import get_settings
    except ModuleNotFoundError:  # a bare GPU machine has PyTorch, but no pydantic
        return cast("Precision", os.environ.get("MOMA_PRECISION", "fp32"))
    return get_settings().precision
