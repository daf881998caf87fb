"""Formulas are those that pymatgen writes."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, Element

from moma_app.formulas import SYMBOLS, reduced_formula
from moma_app.tasks import store

COMMON = st.sampled_from([z for z in range(1, 95) if z not in (2, 10, 18)])


def of_pymatgen(numbers: list[int]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Composition({Element.from_Z(z).symbol: numbers.count(z) for z in set(numbers)}).reduced_formula


@given(
    st.lists(st.tuples(COMMON, st.integers(1, 12)), min_size=1, max_size=5, unique_by=lambda pair: pair[0])
)
def test_any_composition(pairs):
    numbers = [z for z, count in pairs for _ in range(count)]
    assert reduced_formula(numbers) == of_pymatgen(numbers)


@pytest.mark.parametrize(
    ("numbers", "formula"),
    [
        ([20] * 3 + [15] * 2 + [8] * 8, "Ca3(PO4)2"),
        ([11, 11, 8, 8], "Na2O2"),
        ([8], "O2"),
        ([26] * 4, "Fe"),
        ([3, 26, 15, *[8] * 4] * 4, "LiFePO4"),
    ],
)
def test_known_ones(numbers, formula):
    assert reduced_formula(numbers) == formula


def test_symbols():
    assert SYMBOLS[1:] == [Element.from_Z(z).symbol for z in range(1, 119)]


def test_real_structures(shared):
    data = store.read_task(shared / "data" / "tasks" / "mp_poisson_ratio.parquet")
    for i in range(0, len(data), 5):
        numbers = data.structures[i].numbers.tolist()
        assert reduced_formula(numbers) == of_pymatgen(numbers)
