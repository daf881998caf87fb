"""The instant predictor of a mixture: modules with weight, side by side, gated by the weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from module_factory import independent_module, real_module

from moma_app.amc.compose import compose
from moma_app.backbones.base import crystal_embedding
from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError
from moma_app.hub import Hub
from moma_app.tasks import get_task
from moma_app.training.instant import fit_instant
from moma_app.training.predictor import CARD, Predictor
from moma_app.training.readout import fit_gaussian_readout
from moma_app.training.start import Start

TASK = "elemental_bulk_modulus"


@pytest.fixture(scope="module")
def composition(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("hub"))
    for seed, name in enumerate(("a", "b", "c")):
        hub.add(independent_module(name, seed))
    found = compose(get_task(TASK), hub, weighting="all-average")
    assert len(found.experts()) == 3
    return found


@pytest.fixture(scope="module")
def made(composition):
    return fit_instant(get_task(TASK), Start.mixed(composition), device="cpu")


def test_it_says_what_it_is_made_of(made, composition):
    predictor, report = made
    assert (report.label, report.start) == ("instant, mixture of 3 modules", "instant:mixture")
    assert predictor.info.experts == ("a", "b", "c")
    assert predictor.info.weights == composition.result.weights
    assert report.metrics["n"] == 11


def test_a_loaded_mixture_gives_the_same_numbers(made, tmp_path):
    predictor, report = made
    task = get_task(TASK)
    structures = task.load().structures.take(task.split(0).test)
    before = predictor.predict(structures, device="cpu")
    np.testing.assert_allclose(before.values, report.predicted, atol=2e-5)
    after = Predictor.load(predictor.save(tmp_path / "predictor")).predict(structures, device="cpu")
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(before.std, after.std)


def test_the_numbers_recomputed(composition):
    """Weights 0.7 and 0.3: the features of two networks, distances weighted so."""
    task = get_task(TASK)
    data, split = task.load(), task.split(0)
    start = Start.mixed(composition)
    chosen = Start(
        start.name,
        start.label,
        start.backbone,
        start.kind,
        start.layers,
        {name: tensor for name, tensor in start.tensors.items() if not name.startswith("experts.2.")},
        {"a": 0.7, "b": 0.3, "c": 0.0},
        experts=("a", "b"),
    )
    _, report = fit_instant(task, chosen, device="cpu")
    backbone = get_backbone("cgcnn")
    batch = backbone.graphs(data.structures).batch(range(len(data)))
    with torch.no_grad():
        blocks = [
            crystal_embedding(independent_module("x", seed).network(backbone).eval(), batch, "last-softplus")
            for seed in (0, 1)
        ]
    train = split.train
    scaled = [
        (block - block[train].mean(0)) / block[train].std(0, correction=0) * (2 * weight) ** 0.5
        for block, weight in zip(blocks, (0.7, 0.3), strict=True)
    ]
    # these columns have the deviations that the gates ask for; nothing may scale them again
    features = torch.cat(scaled, dim=1)
    spread = features[train].std(0, correction=0).double().numpy() ** 2
    readout, _ = fit_gaussian_readout(
        features[train], data.targets[train], features[split.val], data.targets[split.val], importance=spread
    )
    np.testing.assert_allclose(readout.predict(features[split.test])[0], report.predicted, atol=2e-3)


def test_modules_that_share_an_initialisation_can_be_mixed_too(tmp_path):
    hub = Hub(tmp_path / "hub")
    for seed, name in enumerate(("a", "b")):
        hub.add(real_module(name, seed, "adapter", "chgnet", noise=3.0))
    task = get_task(TASK)
    composition = compose(task, hub, kind="adapter", weighting="all-average")
    predictor, report = fit_instant(task, Start.mixed(composition), device="cpu")
    assert predictor.info.kind == "adapter"
    assert all(".adapters." in name for name in predictor.parameters)
    loaded = Predictor.load(predictor.save(tmp_path / "predictor"))
    values = loaded.predict(task.load().structures.take(task.split(0).test), device="cpu").values
    np.testing.assert_allclose(values, report.predicted, atol=2e-5)


def test_a_card_that_names_other_experts_is_damage(made, tmp_path):
    folder = made[0].save(tmp_path / "predictor")
    card = json.loads((folder / CARD).read_text())
    for experts in (["a", "b"], []):
        (folder / CARD).write_text(json.dumps({**card, "experts": experts}))
        with pytest.raises(DamagedFileError, match="incomplete: its tensors are those of 3 experts"):
            Predictor.load(folder)
