"""Our CHGNet against the ``chgnet`` package: same graphs, same energies, same crystal features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from crystals import SHARED, read_crystals

from moma_app.backbones.base import pool
from moma_app.backbones.chgnet import EnergyReadout, backbone, convert_state
from moma_app.errors import InputError
from moma_app.structures import Crystal

BACKBONE = backbone()


@pytest.fixture(scope="module")
def package():
    from chgnet.model import CHGNet

    return CHGNet.load(use_device="cpu", verbose=False)


def sources():
    names = ["ideal", "distorted"]
    return [*names, *(("mp_bandgap", "mp_phonons") if SHARED.is_dir() else ())]


@pytest.fixture(scope="module", params=sources())
def structures(request, crystals, ideal_crystals):
    if request.param == "ideal":
        return ideal_crystals
    if request.param == "distorted":
        return crystals
    return read_crystals(SHARED / f"data/tasks/{request.param}.parquet", 50, max_atoms=20)


@pytest.fixture(scope="module")
def package_graphs(package, structures):
    return [package.graph_converter(crystal.to_pymatgen()) for crystal in structures]


def test_energies_and_crystal_features_are_the_packages(package, structures, package_graphs):
    network, readout = BACKBONE.pretrained().eval(), EnergyReadout()
    batch = BACKBONE.graphs(structures).batch(range(len(structures)))
    with torch.no_grad():
        features = network(batch)[-1]
        energy = readout(features, batch).numpy()
        crystal_features = pool(features, batch, "sum").numpy()
    theirs = package.predict_graph(package_graphs, task="e", return_crystal_feas=True)
    np.testing.assert_allclose(energy, [float(p["e"]) for p in theirs], rtol=1e-4)
    for ours, prediction in zip(crystal_features, theirs, strict=True):
        deviation = np.linalg.norm(ours - prediction["crystal_fea"]) / np.linalg.norm(
            prediction["crystal_fea"]
        )
        assert deviation < 1e-4


def test_gradients_of_all_parameters_are_the_packages(package, structures, package_graphs):
    """Of the energies' sum, with unlike factors; the package's tensors are renamed to ours."""
    network, readout = BACKBONE.pretrained(), EnergyReadout()
    batch = BACKBONE.graphs(structures).batch(range(len(structures)))
    factors = torch.linspace(-1, 2, len(structures))
    (readout(network(batch)[-1], batch) * factors).sum().backward()
    package.zero_grad()
    (package(package_graphs, task="e")["e"] * factors).sum().backward()
    zero = {name: torch.zeros_like(tensor) for name, tensor in package.named_parameters()}
    theirs = convert_state(
        {**zero, **{n: p.grad for n, p in package.named_parameters() if p.grad is not None}}
    )
    ours = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        if len(batch["angle"]) == 0 and ours[name] is None:
            continue  # no angles: those layers take no part
        assert torch.linalg.norm(ours[name] - gradient) <= 1e-3 * torch.linalg.norm(gradient), name


def test_bfloat16_changes_features_by_a_percent_at_most(structures):
    """As MOMA_PRECISION=bf16 computes on a GPU; PyTorch's mixed precision works the same way on a CPU."""
    network = BACKBONE.pretrained()
    chosen = structures[:8]
    batch = BACKBONE.graphs(chosen).batch(range(len(chosen)))
    exact = torch.cat(network(batch), dim=1)
    with torch.autocast("cpu", torch.bfloat16):
        rough = torch.cat([features.float() for features in network(batch)], dim=1)
    rough.sum().backward()
    assert 1e-5 < torch.linalg.norm(rough - exact) / torch.linalg.norm(exact) < 2e-2


def test_graphs_have_as_many_edges_bonds_and_angles(structures, package_graphs):
    for crystal, theirs in zip(structures, package_graphs, strict=True):
        ours = BACKBONE.graph(crystal)
        assert ours.count("edge") == len(theirs.atom_graph)
        assert ours.count("bond") == len(theirs.undirected2directed)
        assert ours.count("angle") == len(theirs.bond_graph)


def test_a_crystal_without_short_bonds_is_fine():
    argon = Crystal(np.array([18], np.int16), 5 * np.eye(3), np.zeros((1, 3)))
    graph = BACKBONE.graph(argon)
    assert graph.count("angle") == 0
    outputs = BACKBONE.pretrained()(BACKBONE.collate([graph]))
    assert all(output.isfinite().all() for output in outputs)


def test_an_element_it_was_not_trained_on_is_named():
    with pytest.raises(InputError, match=r"'chgnet' does not know the element Am \(it knows Z = 1 to 94\)"):
        BACKBONE.graph(Crystal(np.array([95], np.int16), 3 * np.eye(3), np.zeros((1, 3))))


def test_the_fingerprint_is_that_of_version_0_3_0():
    assert BACKBONE.fingerprint == "8acde8db74342574"
