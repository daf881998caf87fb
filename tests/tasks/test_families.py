"""Every task belongs to a physical family; what is not known is ``other``."""

from __future__ import annotations

import pytest

from moma_app.tasks.catalogue import catalogue
from moma_app.tasks.families import FAMILIES, family_of


def test_every_task_of_the_catalogue_has_a_family():
    for name, spec in catalogue().items():
        assert family_of(name) == spec.family
        assert spec.family in FAMILIES
        assert spec.family != "other", f"{name} has no family"


@pytest.mark.parametrize(
    ("task", "family"),
    [
        ("mp_bandgap", "electronic"),
        ("n_th_cond", "thermal"),
        ("mp_kvrh", "mechanical"),
        ("expt_eform", "thermodynamic"),
        ("mp_eps_total", "dielectric"),
        ("n_Seebeck", "transport"),
        ("mp_phonons", "vibrational"),
        ("mp_spacegroup", "structural"),
    ],
)
def test_families_are_what_a_physicist_expects(task, family):
    assert family_of(task) == family


def test_a_task_that_nobody_knows_is_of_another_family():
    assert family_of("colour_of_my_eyes") == "other"
    assert family_of("../etc/passwd") == "other"
