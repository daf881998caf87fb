"""What every registered backbone must do, whoever wrote it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from crystals import to_ase
from safetensors.torch import load_file, save_file

from moma_app.backbones.adapters import attach_adapters, freeze_all_but_adapters, set_adapter_scale
from moma_app.backbones.base import crystal_embedding, fingerprint, node_features
from moma_app.backbones.registry import backbone_names, get_backbone
from moma_app.errors import DataNotFoundError, InputError
from moma_app.structures import Crystal

SYMMETRY_TOLERANCE = 1e-4  # relative to the largest feature; float32 sums in another order


@pytest.fixture(scope="module", params=backbone_names())
def backbone(request):
    return get_backbone(request.param)


def make_network(backbone):
    try:
        return backbone.pretrained().eval()
    except DataNotFoundError:  # weights that have to be downloaded; random ones obey the same rules
        torch.manual_seed(0)
        return backbone.network().eval()


@pytest.fixture(scope="module")
def network(backbone):
    return make_network(backbone)


def batch_of(backbone, structures):
    return backbone.collate([backbone.graph(structure) for structure in structures])


def embed(backbone, network, structures):
    with torch.no_grad():
        return crystal_embedding(network, batch_of(backbone, structures), "all").numpy()


def atom_features(backbone, network, structure):
    with torch.no_grad():
        return node_features(network, batch_of(backbone, [structure]), "all").numpy()


def assert_same(ours, expected, tolerance):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_keys_and_shapes(backbone, network, crystals):
    batch = batch_of(backbone, crystals)
    n_atoms = sum(map(len, crystals))
    assert "numbers" in backbone.schema.fields
    assert batch.tensors.keys() == backbone.schema.fields.keys()
    assert batch.n_atoms_total == n_atoms
    outputs = network(batch)
    assert len(outputs) == backbone.info.n_layers
    for output in outputs:
        assert output.shape == (n_atoms, backbone.info.width)
        assert output.dtype == torch.float32
        assert output.isfinite().all()
    for layers in ("all", "last", "last-softplus"):
        assert crystal_embedding(network, batch, layers).shape == (
            len(crystals),
            backbone.feature_width(layers),
        )


def test_info_is_complete(backbone):
    info = backbone.info
    assert info.name in backbone_names()
    assert info.default_layers in {"all", "last"}
    assert info.citation
    assert info.weights_licence
    assert backbone.graph_key.startswith(info.name)


def test_a_batch_gives_what_single_structures_give(backbone, network, crystals):
    together = embed(backbone, network, crystals)
    single = np.concatenate([embed(backbone, network, [crystal]) for crystal in crystals])
    assert_same(together, single, 1e-5)
    backwards = embed(backbone, network, crystals[::-1])[::-1]
    assert_same(backwards, single, 1e-5)


def test_graphs_of_many_structures_equal_graphs_of_each(backbone, crystals):
    many = backbone.graphs(crystals).batch(range(len(crystals)))
    each = batch_of(backbone, crystals)
    for name, tensor in each.tensors.items():
        assert torch.equal(many[name], tensor), name


def test_rotation_and_reflection(backbone, network, crystals):
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    expected = embed(backbone, network, crystals)
    for rotation in (turn, -turn):
        turned = [Crystal(c.numbers, c.cell @ rotation, c.frac_coords) for c in crystals]
        assert_same(embed(backbone, network, turned), expected, SYMMETRY_TOLERANCE)


def test_translation(backbone, network, crystals):
    random = np.random.default_rng(2)
    moved = [Crystal(c.numbers, c.cell, c.frac_coords + random.random(3)) for c in crystals]
    expected = embed(backbone, network, crystals)
    assert_same(embed(backbone, network, moved), expected, SYMMETRY_TOLERANCE)
    jumped = [
        Crystal(c.numbers, c.cell, c.frac_coords + random.integers(-2, 3, (len(c), 3))) for c in crystals
    ]
    assert_same(embed(backbone, network, jumped), expected, SYMMETRY_TOLERANCE)


def test_permutation_permutes_atom_features(backbone, network, crystals):
    random = np.random.default_rng(3)
    for crystal in crystals:
        order = random.permutation(len(crystal))
        shuffled = Crystal(crystal.numbers[order], crystal.cell, crystal.frac_coords[order])
        expected = atom_features(backbone, network, crystal)[order]
        assert_same(atom_features(backbone, network, shuffled), expected, SYMMETRY_TOLERANCE)


def test_another_choice_of_cell(backbone, network, crystals):
    shear = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]])
    other = [Crystal(c.numbers, shear @ c.cell, c.frac_coords @ np.linalg.inv(shear)) for c in crystals]
    assert_same(embed(backbone, network, other), embed(backbone, network, crystals), SYMMETRY_TOLERANCE)


def test_a_supercell_has_the_embedding_of_its_cell(backbone, network, crystals):
    larger = [to_ase(c).repeat((2, 1, 2)) for c in crystals]
    assert_same(embed(backbone, network, larger), embed(backbone, network, crystals), SYMMETRY_TOLERANCE)


def test_ideal_crystals_keep_their_symmetry(backbone, network, ideal_crystals):
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    turned = [Crystal(c.numbers[::-1], c.cell @ turn, c.frac_coords[::-1] + 0.3) for c in ideal_crystals]
    expected = embed(backbone, network, ideal_crystals)
    assert_same(embed(backbone, network, turned), expected, SYMMETRY_TOLERANCE)


def test_pymatgen_and_ase_give_the_same(backbone, network, crystals):
    expected = embed(backbone, network, crystals)
    assert_same(embed(backbone, network, [c.to_pymatgen() for c in crystals]), expected, 1e-5)
    assert_same(embed(backbone, network, [to_ase(c) for c in crystals]), expected, 1e-5)


def test_different_structures_have_different_embeddings(backbone, network, crystals):
    squeezed = [Crystal(c.numbers, 0.97 * c.cell, c.frac_coords) for c in crystals]
    difference = np.abs(embed(backbone, network, crystals) - embed(backbone, network, squeezed)).max(axis=1)
    assert (difference > 1e-3).all()


def test_an_unknown_element_is_named(backbone):
    oganesson = Crystal(np.array([118], np.int16), 3 * np.eye(3), np.zeros((1, 3)))
    with pytest.raises(InputError, match=f"{backbone.info.name}.*Og"):
        backbone.graph(oganesson)


def test_an_isolated_atom_is_refused_and_the_structure_numbered(backbone, crystals):
    far = Crystal(np.array([8], np.int16), 4 * backbone.info.cutoff * np.eye(3), np.zeros((1, 3)))
    with pytest.raises(InputError, match="Structure 1: Atom 0 has no neighbour"):
        backbone.graphs([crystals[0], far])


@pytest.mark.parametrize("training", [False, True])
def test_the_gradient_reaches_every_parameter(backbone, crystals, training):
    network = make_network(backbone).train(training)
    features = node_features(network, batch_of(backbone, crystals), "all")
    (features * torch.randn(features.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name


def test_adapters_at_zero_are_the_identity_and_alone_are_trained(backbone, network, crystals):
    batch = batch_of(backbone, crystals)
    adapted = make_network(backbone)
    attach_adapters(adapted, backbone.info.width, backbone.info.n_layers)
    set_adapter_scale(adapted, 0.0)
    for ours, expected in zip(adapted(batch), network(batch), strict=True):
        assert torch.equal(ours, expected)
    set_adapter_scale(adapted, 1.0)
    freeze_all_but_adapters(adapted)
    state = fingerprint(adapted.state())
    features = node_features(adapted.train(), batch, "all")
    (features * torch.randn(features.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert fingerprint(adapted.state()) == state, "a frozen backbone changed in training mode"
    for name, parameter in adapted.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert reached == name.startswith("adapters."), name


def test_saved_and_loaded_tensors_give_the_same_numbers(backbone, network, crystals, tmp_path):
    save_file(network.state(), tmp_path / "state.safetensors")
    other = backbone.network()
    other.load_state_dict(load_file(tmp_path / "state.safetensors"), strict=True)
    np.testing.assert_array_equal(embed(backbone, other.eval(), crystals), embed(backbone, network, crystals))


def test_inputs_are_not_changed(backbone, crystals):
    network = make_network(backbone)
    state = fingerprint(network.state())
    crystal = crystals[-1]
    copy = Crystal(*(np.copy(values) for values in (crystal.numbers, crystal.cell, crystal.frac_coords)))
    for values in (copy.numbers, copy.cell, copy.frac_coords):
        values.setflags(write=False)
    structure, atoms = crystal.to_pymatgen(), to_ase(crystal)
    as_before = structure.copy(), atoms.copy()
    batch = batch_of(backbone, [copy, structure, atoms])
    assert (structure, atoms) == as_before
    before = {name: tensor.clone() for name, tensor in batch.tensors.items()}
    network(batch)
    for name, tensor in batch.tensors.items():
        assert torch.equal(tensor, before[name]), name
    assert fingerprint(network.state()) == state


def test_the_same_input_gives_the_same_output(backbone, network, crystals):
    first, second = (embed(backbone, network, crystals) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    torch.manual_seed(17)
    again = make_network(backbone)
    np.testing.assert_array_equal(embed(backbone, again, crystals), first)


def test_the_fingerprint_is_that_of_the_pretrained_network(backbone):
    try:
        expected = backbone.fingerprint
    except DataNotFoundError as exc:
        pytest.skip(f"no weights here: {exc}")
    assert fingerprint(backbone.pretrained().state()) == expected
