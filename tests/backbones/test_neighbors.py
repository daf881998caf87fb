from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.backbones.neighbors import find_neighbors, symmetric_pairs
from moma_app.errors import InputError
from moma_app.structures import Crystal


def random_crystal(n_atoms, seed):
    """A skewed cell whose atoms may lie outside of it."""
    random = np.random.default_rng(seed)
    cell = 3 * np.eye(3) + random.uniform(-0.7, 0.7, (3, 3))
    return Crystal(np.full(n_atoms, 14, np.int16), cell, random.uniform(-1.5, 2.5, (n_atoms, 3)))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(0, 10**6))
def test_all_pairs_within_the_cutoff_are_found(n_atoms, seed):
    crystal, cutoff = random_crystal(n_atoms, seed), 5.0
    pairs = find_neighbors(crystal, cutoff)
    spread = np.ptp(crystal.frac_coords, axis=0).max()
    reach = int(
        np.ceil(cutoff / (crystal.volume / np.prod(np.linalg.norm(crystal.cell, axis=1))) / 2 + spread)
    )
    expected = set()
    for image in itertools.product(range(-reach, reach + 1), repeat=3):
        for i, j in itertools.product(range(n_atoms), repeat=2):
            step = (crystal.frac_coords[j] + image - crystal.frac_coords[i]) @ crystal.cell
            if 1e-8 < np.linalg.norm(step) < cutoff:
                expected.add((i, j, *image))
    found = [tuple(row) for row in np.column_stack([pairs.center, pairs.neighbor, pairs.image]).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert (np.diff(pairs.center) >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(pairs.vector, axis=1), pairs.distance, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_reverse_pairs_point_at_each_other(n_atoms, seed):
    pairs, reverse = symmetric_pairs(find_neighbors(random_crystal(n_atoms, seed), 4.5))
    np.testing.assert_array_equal(reverse[reverse], np.arange(len(reverse)))
    np.testing.assert_array_equal(pairs.center[reverse], pairs.neighbor)
    np.testing.assert_array_equal(pairs.image[reverse], -pairs.image)
    np.testing.assert_allclose(pairs.vector[reverse], -pairs.vector, atol=1e-9)


def test_a_pair_found_in_one_direction_only_is_dropped():
    pairs = find_neighbors(random_crystal(3, 0), 4.5)
    lost = type(pairs)(*(np.delete(values, 4, axis=0) for values in pairs))
    kept, reverse = symmetric_pairs(lost)
    assert len(kept.center) == len(pairs.center) - 2
    assert len(reverse) == len(kept.center)


def test_an_isolated_atom_is_named():
    crystal = Crystal(
        np.array([11, 17, 17], np.int16), 30 * np.eye(3), np.array([[0, 0, 0], [0.1, 0, 0], [0.5] * 3])
    )
    with pytest.raises(InputError, match="Atom 2 has no neighbour within 6 Å: check lattice and units"):
        find_neighbors(crystal, 6.0)


def test_a_flat_cell_is_refused():
    cell = np.array([[3.0, 0, 0], [0, 3, 0], [3, 3, 0]])
    with pytest.raises(InputError, match="The cell has no volume"):
        find_neighbors(Crystal(np.array([6], np.int16), cell, np.zeros((1, 3))), 6.0)
