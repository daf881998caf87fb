"""What holds for CHGNet's graph of any crystal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.backbones.chgnet_graph import BOND_CUTOFF, build_graphs
from moma_app.structures import Crystal, StructureSet


def random_crystal(n_atoms, seed):
    random = np.random.default_rng(seed)
    cell = 3.2 * np.eye(3) + random.uniform(-0.6, 0.6, (3, 3))
    return Crystal(
        random.integers(1, 95, n_atoms).astype(np.int16), cell, random.uniform(-1.5, 2.5, (n_atoms, 3))
    )


any_crystal = st.builds(random_crystal, st.integers(1, 4), st.integers(0, 10**6))
for_any = settings(max_examples=25, deadline=None)


def arrays_of(crystal):
    return build_graphs(StructureSet.from_any([crystal]))[0].arrays


def assert_same_geometry(ours, expected, copies=1):
    """Compare the sorted lengths and angles; ``copies`` of each are expected."""
    for name in ("bond_length", "angle"):
        wanted = np.repeat(np.sort(expected[name]), copies)
        np.testing.assert_allclose(np.sort(ours[name]), wanted, atol=2e-6, err_msg=name)


@for_any
@given(any_crystal)
def test_a_bond_is_its_two_directions(crystal):
    graph = arrays_of(crystal)
    center, neighbor, bond = (graph[name] for name in ("edge_center", "edge_neighbor", "edge_bond"))
    assert (np.diff(center) >= 0).all()
    first, second = np.argsort(bond, kind="stable").reshape(-1, 2).T
    np.testing.assert_array_equal(bond[first], np.arange(len(graph["bond_length"])))
    np.testing.assert_array_equal(bond[first], bond[second])
    np.testing.assert_array_equal(center[first], neighbor[second])
    np.testing.assert_array_equal(neighbor[first], center[second])


@for_any
@given(any_crystal)
def test_short_bonds_have_two_arms(crystal):
    graph = arrays_of(crystal)
    short = graph["short_bond"]
    np.testing.assert_array_equal(short, np.flatnonzero(graph["bond_length"] < BOND_CUTOFF))
    np.testing.assert_array_equal(np.bincount(graph["arm_short"], minlength=len(short)), 2)
    assert (np.diff(graph["arm_center"]) >= 0).all()
    edges = np.column_stack([graph["edge_center"], graph["edge_bond"]])
    arms = np.column_stack([graph["arm_center"], short[graph["arm_short"]]])
    np.testing.assert_array_equal(arms, edges[np.isin(graph["edge_bond"], short)])


@for_any
@given(any_crystal)
def test_angles_are_between_all_pairs_of_arms_at_an_atom_and_symmetric(crystal):
    graph = arrays_of(crystal)
    center, first, second = (graph[name] for name in ("arm_center", "angle_first", "angle_second"))
    expected = (center[:, None] == center[None, :]) & ~np.eye(len(center), dtype=bool)
    np.testing.assert_array_equal(np.argwhere(expected), np.column_stack([first, second]))
    angle = np.full(expected.shape, np.nan, dtype=np.float32)
    angle[first, second] = graph["angle"]
    np.testing.assert_array_equal(angle, angle.T)
    assert ((graph["angle"] > 0) & (graph["angle"] < np.pi)).all()


@for_any
@given(any_crystal, st.integers(0, 10**6))
def test_translation_and_order_of_atoms_do_not_matter(crystal, seed):
    random = np.random.default_rng(seed)
    order = random.permutation(len(crystal))
    shift = random.normal(size=3) + random.integers(-2, 3, (len(crystal), 3))
    moved = Crystal(crystal.numbers[order], crystal.cell, crystal.frac_coords[order] + shift)
    assert_same_geometry(arrays_of(moved), arrays_of(crystal))


@for_any
@given(any_crystal, st.sampled_from([(2, 1, 1), (1, 3, 1), (2, 1, 2)]))
def test_a_supercell_has_everything_as_often_as_it_has_cells(crystal, repeats):
    steps = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 3)
    coords = (crystal.frac_coords[None] + steps[:, None]).reshape(-1, 3) / repeats
    numbers = np.tile(crystal.numbers, len(steps))
    larger = Crystal(numbers, crystal.cell * np.array(repeats)[:, None], coords)
    assert_same_geometry(arrays_of(larger), arrays_of(crystal), copies=len(steps))


@pytest.mark.parametrize("cutoff", [3.0, 6.0])
def test_a_bond_exactly_on_a_cutoff_is_either_long_or_short_in_both_directions(cutoff):
    crystal = Crystal(np.array([84], np.int16), cutoff * np.eye(3), np.array([[0.1, 0.2, 0.3]]))
    cubic = Crystal(np.array([84, 84]), 3.7 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    for structure in (crystal, cubic):
        graph = arrays_of(structure)
        np.testing.assert_array_equal(np.bincount(graph["edge_bond"]), 2)
        if len(graph["arm_short"]):
            np.testing.assert_array_equal(np.bincount(graph["arm_short"]), 2)
