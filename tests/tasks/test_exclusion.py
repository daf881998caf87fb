"""Structures of other tasks are found whatever cell describes them; what only has the same formula stays."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell

from moma_app.config import override
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks import get_task
from moma_app.tasks.exclusion import occurs_in
from moma_app.tasks.overview import formulas_of

from .conftest import rock_salt


def diamond(a: float = 3.57) -> Atoms:
    return bulk("C", "diamond", a=a)


def graphite() -> Atoms:
    return Atoms("C2", scaled_positions=[(0, 0, 0), (1 / 3, 2 / 3, 0)], cell=[2.46, 2.46, 3.4, 90, 90, 120])


def test_what_occurs_and_what_does_not():
    larger = make_supercell(diamond(), [[1, 1, 0], [0, 2, 0], [0, 0, 1]])
    larger.rotate(20, "x", rotate_cell=True)
    mine = StructureSet.from_any([larger, graphite(), diamond(3.7), bulk("Si", "diamond", a=5.43)])
    theirs = [
        StructureSet.from_any([bulk("Ge", "diamond", a=5.66)]),
        StructureSet.from_any([diamond(), diamond()]),
    ]
    assert occurs_in(mine, theirs).tolist() == [True, False, False, False]
    assert not occurs_in(mine, []).any()


def test_a_volume_of_another_percent_is_another_structure():
    salt = Crystal.from_any(rock_salt())
    for factor, same in ((1.003, True), (1.005, False)):
        mine = StructureSet.from_any([replace(salt, cell=salt.cell * factor)])
        assert occurs_in(mine, [StructureSet.from_any([salt])]).tolist() == [same]


def test_polytypes_of_one_formula_and_volume_are_told_apart():
    zincblende = bulk("ZnS", "zincblende", a=5.41)
    wurtzite = bulk("ZnS", "wurtzite", a=3.823, c=6.26)
    scale = (len(wurtzite) * zincblende.get_volume() / len(zincblende) / wurtzite.get_volume()) ** (1 / 3)
    wurtzite.set_cell(wurtzite.cell * scale, scale_atoms=True)
    mine, theirs = StructureSet.from_any([wurtzite]), StructureSet.from_any([zincblende])
    assert not occurs_in(mine, [theirs]).any()


def test_the_shared_data_has_the_overlap_that_is_known(shared):
    with override({"data": [shared / "data"]}):
        elastic, poisson = get_task("mp_gvrh").load(), get_task("mp_poisson_ratio")
        test = poisson.load().structures.take(poisson.split(0).test)
    # Of the 177 test structures 122 have the formula and volume of one with known moduli.
    volumes = {}
    for formula, crystal in zip(formulas_of(elastic.structures), elastic.structures, strict=True):
        volumes.setdefault(formula, []).append(abs(np.linalg.det(crystal.cell)) / len(crystal))
    near = [
        place
        for place, (formula, crystal) in enumerate(zip(formulas_of(test), test, strict=True))
        if any(
            v == pytest.approx(abs(np.linalg.det(crystal.cell)) / len(crystal), rel=0.01)
            for v in volumes.get(formula, [])
        )
    ]
    assert len(near) == 122
    few = near[:12]
    assert occurs_in(test.take(few), [elastic.structures]).sum() >= 9, "the matcher rejects 12 of the 122"
