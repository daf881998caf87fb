"""A small real problem: elemental crystals, CHGNet, graphs built once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moma_app.backbones.registry import get_backbone
from moma_app.tasks import get_task
from moma_app.training.fit_module import FitData
from moma_app.training.model import Head, PropertyModel, TargetScale
from moma_app.training.settings import HeadConfig


@pytest.fixture(scope="session")
def chgnet():
    return get_backbone("chgnet")


@pytest.fixture(scope="session")
def elements():
    """The 24 smallest cells of the embedded task."""
    data = get_task("elemental_bulk_modulus").load()
    return data.take(np.argsort(data.structures.n_atoms, kind="stable")[:24])


@pytest.fixture(scope="session")
def graphs(chgnet, elements):
    return chgnet.graphs(elements.structures)


@pytest.fixture
def fit_data(graphs, elements):
    return FitData(graphs, elements.targets, np.arange(16), np.arange(16, 20))


@pytest.fixture
def scale(fit_data):
    return TargetScale.of(torch.from_numpy(fit_data.targets[fit_data.train]))


@pytest.fixture
def new_model(chgnet):
    """Make the same untrained model at every call."""

    def make(dropout: float = 0.0) -> PropertyModel:
        torch.manual_seed(0)
        head = Head(chgnet.feature_width("all"), HeadConfig(hidden=16, dropout=dropout))
        return PropertyModel(chgnet.pretrained(), head, "all")

    return make
