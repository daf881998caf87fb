"""Structures of other libraries become plain arrays, once, and come back."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import DummySpecies, Element, Lattice, Molecule, Species, Structure

from moma_app.errors import InputError
from moma_app.structures import VACUUM, Crystal, StructureSet

TRICLINIC = Lattice.from_parameters(3.1, 4.2, 5.3, 77, 88, 99)


def crystal_of(n, seed=0):
    random = np.random.default_rng(seed)
    return Crystal(
        random.integers(1, 90, n).astype(np.int16),
        4 * np.eye(3) + random.random((3, 3)),
        random.random((n, 3)),
    )


def assert_same(one, other, tolerance=0.0):
    assert one.numbers.tolist() == other.numbers.tolist()
    np.testing.assert_allclose(one.cell, other.cell, rtol=0, atol=tolerance)
    np.testing.assert_allclose(one.frac_coords, other.frac_coords, rtol=0, atol=tolerance)


def assert_types(crystal):
    assert crystal.numbers.dtype == np.int16
    assert crystal.cell.dtype == crystal.frac_coords.dtype == np.float64
    assert crystal.cell.shape == (3, 3)
    assert crystal.frac_coords.shape == (len(crystal), 3)


class TestPymatgen:
    def test_and_back(self):
        structure = Structure(TRICLINIC, ["Na", "Cl", "O"], [[0, 0, 0], [0.5, -0.25, 1.5], [0.1, 0.2, 0.3]])
        crystal = Crystal.from_any(structure)
        assert_types(crystal)
        assert crystal.numbers.tolist() == [11, 17, 8]
        assert np.array_equal(crystal.cell, TRICLINIC.matrix)
        assert np.array_equal(crystal.frac_coords, structure.frac_coords), "coordinates are not wrapped"
        assert crystal.volume == pytest.approx(structure.volume)
        assert crystal.to_pymatgen() == structure

    def test_arrays_are_copies(self):
        structure = Structure(TRICLINIC, ["Na"], [[0, 0, 0]])
        Crystal.from_any(structure).cell[0, 0] = 99
        assert structure.lattice == TRICLINIC

    def test_charges_and_isotopes_are_elements(self):
        structure = Structure(
            TRICLINIC, [Species("Fe", 3), Element("D"), "Cf"], 0.1 * np.arange(9).reshape(3, 3)
        )
        assert Crystal.from_any(structure).numbers.tolist() == [26, 1, 98]

    def test_a_molecule_is_put_in_a_box(self):
        molecule = Molecule(["O", "H", "H"], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
        crystal = Crystal.from_any(molecule)
        assert_types(crystal)
        assert np.array_equal(crystal.cell, np.diag([1.52 + 2 * VACUUM, 0.59 + 2 * VACUUM, 2 * VACUUM]))
        positions = crystal.frac_coords @ crystal.cell
        np.testing.assert_allclose(positions - positions[0], molecule.cart_coords, atol=1e-12)

    def test_a_disordered_structure_is_refused(self):
        structure = Structure(TRICLINIC, [{"Fe": 0.5, "Co": 0.5}], [[0, 0, 0]])
        with pytest.raises(InputError, match=r"Structure Fe0\.5 Co0\.5 is disordered .*order it first"):
            Crystal.from_any(structure)
        with pytest.raises(InputError, match="disordered"):
            Crystal.from_any(Structure(TRICLINIC, [{"Fe": 0.9}], [[0, 0, 0]]))

    @pytest.mark.parametrize("symbol", ["X", "Xa", "Vac"])
    def test_a_dummy_species_is_refused(self, symbol):
        """Its atomic number is a hash: too large for our arrays, or a wrong element."""
        symbol = "X" if symbol == "Vac" else symbol
        for species in (DummySpecies(symbol), DummySpecies(symbol, 2)):
            for structure in (
                Structure(TRICLINIC, ["Fe", species], [[0, 0, 0], [0.5, 0.5, 0.5]]),
                Molecule(["Fe", species], [[0, 0, 0], [2, 0, 0]]),
            ):
                with pytest.raises(InputError, match="holds a species that is no element"):
                    Crystal.from_any(structure)


class TestAse:
    def test_and_back(self):
        atoms = ase.build.bulk("NaCl", "rocksalt", a=5.64)
        atoms.positions[1] += [9, 0, 0]
        crystal = Crystal.from_any(atoms)
        assert_types(crystal)
        np.testing.assert_allclose(crystal.frac_coords @ crystal.cell, atoms.positions, atol=1e-12)
        assert np.array_equal(crystal.cell, atoms.cell.array)
        assert crystal.to_pymatgen().composition.reduced_formula == "NaCl"

    def test_a_molecule_is_put_in_a_box(self):
        crystal = Crystal.from_any(ase.build.molecule("CH4"))
        positions = crystal.frac_coords @ crystal.cell
        assert positions.min() == pytest.approx(VACUUM)
        assert (np.diag(crystal.cell) - positions.max(axis=0)).min() == pytest.approx(VACUUM)

    def test_a_slab_gets_vacuum_where_it_is_open(self):
        slab = ase.build.fcc111("Al", size=(1, 1, 3))
        before = slab.copy()
        crystal = Crystal.from_any(slab)
        assert slab == before, "the caller's object stays as it is"
        np.testing.assert_allclose(crystal.cell[:2], slab.cell.array[:2], atol=1e-12)
        heights = (crystal.frac_coords @ crystal.cell)[:, 2]
        assert heights.min() == pytest.approx(VACUUM)
        assert crystal.cell[2, 2] - heights.max() == pytest.approx(VACUUM)

    @pytest.mark.parametrize(
        ("atoms", "words"),
        [
            (Atoms(), "at least one atom"),
            (Atoms(pbc=True, cell=[3, 3, 3]), "at least one atom"),
            (Atoms("X", pbc=True, cell=[3, 3, 3]), "no element"),
            (Atoms("XH", positions=[[0, 0, 0], [1, 0, 0]]), "no element"),
            (Atoms("Fe", pbc=True), "its cell has no volume"),
            (Atoms("Fe", pbc=True, cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]]), "its cell has no volume"),
        ],
    )
    def test_what_is_no_structure_is_refused(self, atoms, words):
        with pytest.raises(InputError, match=words):
            Crystal.from_any(atoms)


def test_a_crystal_is_taken_as_it_is():
    crystal = crystal_of(3)
    assert Crystal.from_any(crystal) is crystal


@pytest.mark.parametrize("thing", [None, 3, "POSCAR", {"lattice": 1}, np.zeros(3)])
def test_other_things_are_refused_by_their_type(thing):
    with pytest.raises(InputError, match=rf"not {type(thing).__name__}\.$"):
        Crystal.from_any(thing)


def test_volume_has_no_sign():
    left_handed = Crystal(np.ones(1, np.int16), np.diag([2.0, 3.0, -4.0]), np.zeros((1, 3)))
    assert left_handed.volume == pytest.approx(24)


sizes = st.lists(st.integers(1, 6), min_size=1, max_size=8)


class TestStructureSet:
    @given(sizes)
    @settings(deadline=None, max_examples=50)
    def test_it_is_a_sequence_of_what_was_packed(self, counts):
        crystals = [crystal_of(n, seed) for seed, n in enumerate(counts)]
        packed = StructureSet.from_any(iter(crystals))
        assert len(packed) == len(crystals)
        assert packed.n_atoms.tolist() == counts
        for ours, given_one in zip(packed, crystals, strict=True):
            assert_same(ours, given_one)
        for i in range(-len(counts), len(counts)):
            assert_same(packed[i], crystals[i])
        for i in (len(counts), -len(counts) - 1):
            with pytest.raises(IndexError):
                packed[i]

    @given(sizes, st.data())
    @settings(deadline=None, max_examples=80)
    def test_take_any_rows_in_any_order(self, counts, data):
        n = len(counts)
        crystals = [crystal_of(k, seed) for seed, k in enumerate(counts)]
        indices = data.draw(st.lists(st.integers(-n, n - 1), max_size=10))
        for chosen in (indices, np.array(indices, dtype=np.int32)):
            taken = StructureSet.from_any(crystals).take(chosen)
            assert len(taken) == len(indices)
            assert taken.ptr[-1] == len(taken.numbers) == len(taken.frac_coords)
            for ours, i in zip(taken, indices, strict=True):
                assert_same(ours, crystals[i])

    @given(sizes, st.slices(8))
    def test_slices(self, counts, part):
        crystals = [crystal_of(k, seed) for seed, k in enumerate(counts)]
        for ours, given_one in zip(StructureSet.from_any(crystals)[part], crystals[part], strict=True):
            assert_same(ours, given_one)

    @pytest.mark.parametrize("indices", [[3], [-4], [0, 99], [0, -99]])
    def test_rows_that_are_not_there(self, indices):
        with pytest.raises(IndexError):
            StructureSet.from_any([crystal_of(2, seed) for seed in range(3)]).take(indices)

    def test_none_at_all(self):
        empty = StructureSet.from_any([])
        assert len(empty) == 0
        assert empty.cells.shape == (0, 3, 3)
        assert list(empty) == empty.to_pymatgen() == []
        assert len(empty.take([])) == 0

    def test_mixed_libraries(self):
        structure = Structure(TRICLINIC, ["Na"], [[0, 0, 0]])
        packed = StructureSet.from_any([structure, ase.build.bulk("Fe"), crystal_of(2)])
        assert packed.numbers[:2].tolist() == [11, 26]
        assert packed.n_atoms.tolist() == [1, 1, 2]
        assert StructureSet.from_any(packed) is packed
        assert packed.to_pymatgen()[0] == structure
