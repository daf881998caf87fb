"""Made-up embeddings with structure: modules that see the same hidden variables, each in its own way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HIDDEN = 6
NOISE = 0.3


def made_up_embeddings(
    rows: int, width: int, modules: int, seed: int = 0
) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
    """Return one table [rows, width] for each module, and targets [rows] of unit variance.

    Each module sees the hidden variables with other strengths, and noise of its own, so that the
    modules differ in use and several of them carry weight.
    """
    random = np.random.default_rng(seed)
    hidden = random.standard_normal((rows, HIDDEN))
    targets = np.sin(hidden[:, 0]) + hidden[:, 1] * hidden[:, 2] + 0.5 * hidden[:, 3:].sum(axis=1)
    targets = (targets - targets.mean()) / targets.std()
    tables = []
    for _ in range(modules):
        strength = random.uniform(0, 1.5, (HIDDEN, 1))
        seen = hidden @ (strength * random.standard_normal((HIDDEN, width)))
        tables.append((np.tanh(seen) + NOISE * random.standard_normal((rows, width))).astype(np.float32))
    return tables, targets
