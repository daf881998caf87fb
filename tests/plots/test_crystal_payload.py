"""What is drawn of a structure: atoms, bonds, cell; and the library that draws it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule, mx2
from ase.spacegroup import crystal as from_group
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from moma_app.errors import InputError
from moma_app.plots.crystals import view as structure_view
from moma_app.plots.crystals.payload import payload_of
from moma_app.plots.crystals.view import LIBRARY, LIBRARY_SHA256
from moma_app.structures import Crystal

HERE = Path(structure_view.__file__).parent


def draw(atoms, **text):
    return payload_of(Crystal.from_any(atoms), **text)


def lengths(payload):
    """Lengths of the drawn bonds, Å [n]."""
    points = np.reshape(payload["positions"], (-1, 3))
    one, other = np.reshape(payload["bonds"], (-1, 2)).T
    return np.linalg.norm(points[one] - points[other], axis=1)


def corners(payload, symbol):
    """Number of bonds of each drawn atom of an element."""
    kind = [element["symbol"] for element in payload["elements"]].index(symbol)
    count = Counter(payload["bonds"])
    return [count[atom] for atom, k in enumerate(payload["kinds"]) if k == kind]


SALT = bulk("NaCl", "rocksalt", 5.64, cubic=True)
RUTILE = from_group(
    ["Ti", "O"], [(0, 0, 0), (0.3053, 0.3053, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
)
CRISTOBALITE = from_group(
    ["Si", "O"], [(0.125, 0.125, 0.125), (0, 0, 0)], spacegroup=227, setting=2, cellpar=[7.16] * 3 + [90] * 3
)


def test_a_cell_is_drawn_with_the_atoms_on_all_its_faces():
    payload = draw(SALT, label="mp-22862", note="5.0 eV")
    assert (payload["formula"], payload["label"], payload["n_atoms"]) == ("NaCl", "mp-22862", 8)
    assert (payload["lengths"], payload["angles"]) == ([5.64] * 3, [90.0] * 3)
    assert payload["volume"] == pytest.approx(5.64**3, abs=0.01)
    assert len(payload["kinds"]) == 27
    assert np.allclose(lengths(payload), 2.82, atol=2e-3)
    assert len(lengths(payload)) == 54, "the edges of 2 × 2 × 2 cubes"
    assert [(e["symbol"], e["count"]) for e in payload["elements"]] == [("Na", 4), ("Cl", 4)]
    assert json.loads(json.dumps(payload)) == payload


def test_polyhedra_round_atoms_inside_the_cell_are_whole():
    assert corners(draw(RUTILE), "Ti").count(6) == 1
    assert set(corners(draw(CRISTOBALITE), "Si")) == {4}
    on_faces = CRISTOBALITE.copy()
    on_faces.positions -= on_faces.positions[0]
    assert set(corners(draw(on_faces), "Si")) == {4}, "strong tetrahedra are whole everywhere"
    shifted = RUTILE.copy()
    shifted.translate([1.0, 1.2, 0.9])
    shifted.wrap()
    payload = draw(shifted)
    assert corners(payload, "Ti") == [6, 6], "none lies on a face now"
    assert lengths(payload).max() < 2.1


@pytest.mark.parametrize(
    ("form", "length", "count"), [("fcc", 3.6 / 2**0.5, 12), ("bcc", 3.6 * 3**0.5 / 2, 8), ("sc", 3.6, 6)]
)
def test_in_a_metal_the_nearest_shell_is_bonded(form, length, count):
    payload = draw(bulk("Cu", form, a=3.6) * (3, 3, 3))
    assert np.allclose(lengths(payload), length, atol=2e-3)
    assert max(corners(payload, "Cu")) == count


def test_metals_in_a_compound_are_not_bonded_to_one_another():
    perovskite = Atoms(
        "SrTiO3",
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
        cell=[3.905] * 3,
        pbc=True,
    )
    payload = draw(perovskite)
    kinds = np.array(payload["kinds"])[np.reshape(payload["bonds"], (-1, 2))]
    assert (kinds == 2).any(axis=1).all(), "one end of each bond is oxygen"


def test_a_layer_is_drawn_whole_and_repeated():
    layer = mx2("MoS2", a=3.18, thickness=3.19, vacuum=10)
    layer.pbc = True
    layer.positions[:, 2] -= layer.positions[0, 2]  # molybdenum at 0: the cell cuts the layer
    payload = draw(layer)
    assert payload["remark"] == "3 × 3 × 1 cells are drawn"
    assert not payload["whole_cell"]
    assert len(payload["kinds"]) == 27
    assert corners(payload, "Mo").count(6) >= 4
    assert np.ptp(np.reshape(payload["positions"], (-1, 3)) @ unit(payload["cell"][6:])) < 3.3


def unit(vector):
    return np.array(vector) / np.linalg.norm(vector)


def test_a_molecule_is_drawn_without_its_box():
    payload = draw(molecule("CH3CH2OH"))
    assert (payload["cell"], payload["whole_cell"], len(payload["kinds"])) == ([], False, 9)
    assert len(lengths(payload)) == 8


def test_a_large_cell_has_no_bonds_and_says_so():
    payload = draw(bulk("Cu", cubic=True) * (7, 7, 6))
    assert (payload["bonds"], len(payload["kinds"])) == ([], 1176)
    assert "bonds are not drawn" in payload["remark"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(3, 12), min_size=3, max_size=3),
    st.lists(st.floats(-2.5, 2.5), min_size=6, max_size=6),
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=5),
    st.booleans(),
)
def test_the_picture_is_the_crystal_turned(axes, shear, places, left_handed):
    matrix = np.diag(axes)
    matrix[~np.eye(3, dtype=bool)] = shear
    if left_handed:
        matrix = matrix[[1, 0, 2]]
    assume(abs(np.linalg.det(matrix)) > 0.1 * np.prod(axes))
    coords = np.array(places)
    payload = payload_of(Crystal(np.full(len(places), 8, np.int16), matrix, coords))
    assume(payload["cell"])  # there is none round a molecule
    cell = np.reshape(payload["cell"], (3, 3))
    assert np.allclose(cell @ cell.T, matrix @ matrix.T, atol=0.05)
    assert cell[2, 1] > 0.9 * np.linalg.norm(cell[2]), "c points up"
    home = np.reshape(payload["positions"], (-1, 3))[: len(places)]
    moved = (home - home[0]) @ np.linalg.inv(cell) - (coords - coords[0])
    assert np.allclose(moved, np.round(moved), atol=5e-3)


@pytest.mark.parametrize(
    ("crystal", "message"),
    [
        (Crystal(np.zeros(0, np.int16), np.eye(3), np.zeros((0, 3))), "0 atoms"),
        (Crystal(np.ones(1, np.int16), np.full((3, 3), np.nan), np.zeros((1, 3))), "not finite"),
        (Crystal(np.ones(1, np.int16), np.zeros((3, 3)), np.zeros((1, 3))), "no volume"),
        (Crystal(np.ones(30_000, np.int16), np.eye(3) * 99, np.zeros((30_000, 3))), "30000 atoms"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(crystal, message):
    with pytest.raises(InputError, match=message):
        payload_of(crystal)


def test_the_library_is_the_one_that_its_note_names():
    digest = hashlib.sha256((HERE / LIBRARY).read_bytes()).hexdigest()
    assert digest == LIBRARY_SHA256
    note = (HERE / "static" / "README.md").read_text()
    assert digest in note
    assert "npm pack 3dmol@2.5.5" in note
    assert "BSD-3-Clause" in (HERE / "static" / "3Dmol-LICENSE").read_text()
    assert (HERE / LIBRARY).stat().st_size < 1_000_000


def test_payloads_need_nothing_heavy():
    code = (
        "import sys, numpy as np\n"
        "from moma_app.plots.crystals.payload import payload_of\n"
        "from moma_app.structures import Crystal\n"
        "payload_of(Crystal(np.array([11], np.int16), np.eye(3) * 3, np.zeros((1, 3))))\n"
        "assert not {'pymatgen', 'pandas', 'torch', 'panel', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
