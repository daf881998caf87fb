from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.backbones.neighbors import find_neighbors, find_pairs
from moma_app.errors import InputError
from moma_app.structures import Crystal, StructureSet


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


def rows(center, neighbor, image):
    return [tuple(row) for row in np.column_stack([center, neighbor, image]).tolist()]


several_crystals = st.lists(st.builds(random_crystal, st.integers(1, 4), st.integers(0, 10**6)), min_size=1)


@settings(max_examples=25, deadline=None)
@given(several_crystals.map(StructureSet.from_any))
def test_pairs_of_many_structures_are_those_of_each(crystals):
    pairs = find_pairs(crystals, 4.5)
    assert pairs.ptr[-1] == len(pairs.center)
    for number, crystal in enumerate(crystals):
        own = slice(pairs.ptr[number], pairs.ptr[number + 1])
        first_atom = crystals.ptr[number]
        single = find_neighbors(crystal, 4.5)
        np.testing.assert_array_equal(pairs.center[own] - first_atom, single.center)
        np.testing.assert_array_equal(pairs.neighbor[own] - first_atom, single.neighbor)
        np.testing.assert_array_equal(pairs.image[own], single.image)
        np.testing.assert_array_equal(pairs.distance[own], single.distance)


@settings(max_examples=25, deadline=None)
@given(several_crystals.map(StructureSet.from_any))
def test_a_pair_is_one_of_the_half_or_its_reverse_is(crystals):
    every, half = find_pairs(crystals, 4.5), find_pairs(crystals, 4.5, half=True)
    forward = rows(half.center, half.neighbor, half.image)
    backward = rows(half.neighbor, half.center, -half.image)
    assert len(forward + backward) == len(every.center)
    assert set(forward + backward) == set(rows(every.center, every.neighbor, every.image))
    assert (half.center <= half.neighbor).all()
    np.testing.assert_array_equal(2 * half.ptr, every.ptr)


def test_a_pair_on_the_cutoff_is_in_the_half_once_or_not_at_all(ideal_crystals):
    for crystal in ideal_crystals:
        shells = np.unique(find_neighbors(crystal, 6.0).distance.round(10))
        for cutoff in shells[shells > 4]:
            half = find_pairs(StructureSet.from_any([crystal]), cutoff * (1 + 1e-15), half=True)
            found = rows(half.center, half.neighbor, half.image)
            backward = rows(half.neighbor, half.center, -half.image)
            assert len(set(found + backward)) == 2 * len(found)


def test_an_isolated_atom_is_named():
    crystal = Crystal(
        np.array([11, 17, 17], np.int16), 30 * np.eye(3), np.array([[0, 0, 0], [0.1, 0, 0], [0.5] * 3])
    )
    with pytest.raises(InputError, match="Atom 2 has no neighbour within 6 Å: check lattice and units"):
        find_neighbors(crystal, 6.0)


def test_an_isolated_atom_is_counted_within_its_structure():
    far = Crystal(
        np.array([11, 17, 17], np.int16), 30 * np.eye(3), np.array([[0, 0, 0], [0.3] * 3, [0.5] * 3])
    )
    with pytest.raises(InputError, match=r"Atom 0 has no neighbour within 6 Å \(nor have 2 others\)"):
        find_pairs(StructureSet.from_any([random_crystal(4, 0), far, far]), 6.0, half=True)


def test_a_flat_cell_is_refused():
    cell = np.array([[3.0, 0, 0], [0, 3, 0], [3, 3, 0]])
    with pytest.raises(InputError, match="The cell has no volume"):
        find_neighbors(Crystal(np.array([6], np.int16), cell, np.zeros((1, 3))), 6.0)
