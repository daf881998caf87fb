"""The authors' numbers for kNN predictions and weights."""

from __future__ import annotations

import json

import numpy as np
import pytest


class Reference:
    """Arrays and descriptions of ``../shared/reference/amc``."""

    def __init__(self, folder):
        self.arrays = dict(np.load(folder / "reference/amc/amc.npz"))
        description = json.loads((folder / "reference/amc/amc.json").read_text())
        self.order = description["module_order"]
        self.tasks = description["tasks"]

    def __call__(self, task, name):
        return self.arrays[f"{task}__{name}"]


@pytest.fixture(scope="session")
def reference(shared):
    return Reference(shared)
