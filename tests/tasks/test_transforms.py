"""Transforms are invertible where they are defined, and say where they are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moma_app.errors import InputError, UnknownNameError
from moma_app.tasks.transforms import TRANSFORMS, get_transform

names = st.sampled_from([name for name in TRANSFORMS if name is not None])


@given(names, st.floats(1e-6, 1e6))
def test_inverse_undoes_forward(name, value):
    transform = get_transform(name)
    assert transform.inverse(transform.forward([value]))[0] == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(names, st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_transforms_are_increasing(name, one, other):
    low, high = get_transform(name).forward(sorted([one, other]))
    assert low <= high


def test_identity_gives_a_copy():
    values = np.array([1.0, -2.0])
    same = get_transform(None).forward(values)
    assert np.array_equal(same, values)
    assert same is not values


@pytest.mark.parametrize(
    ("name", "value"), [("log10", 0), ("ln", -1), ("ln1p", -1), (None, np.nan), ("asinh", np.inf)]
)
def test_undefined_values_are_refused(name, value):
    with pytest.raises(InputError, match="not defined"):
        get_transform(name).forward([1.0, value])


def test_units_are_written_as_in_the_data():
    assert get_transform("log10").unit_of("GPa") == "log10(GPa)"
    assert get_transform("ln1p").unit_of("C/m^2") == "log(1+C/m^2)"
    assert get_transform("ln").unit_of("cm^-1") == "log(cm^-1)"
    assert get_transform(None).unit_of("") == ""


def test_unknown_transform_is_named():
    with pytest.raises(UnknownNameError, match="log10"):
        get_transform("log")
