"""Named transforms of targets, each with its inverse, so that a stored target can be read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moma_app.errors import InputError, UnknownNameError

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Transform:
    """An invertible function of a target.

    Attributes:
        name: name in files and on the command line; ``None`` is the identity.
        above: values must be greater than this (in the original unit).
        unit_format: how the unit of the transformed target is written.
        formula: the function as a person writes it.
    """

    name: str | None
    above: float
    unit_format: str
    formula: str
    _forward: Callable[[_Array], _Array]
    _inverse: Callable[[_Array], _Array]

    def defined(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Say for each value whether it is finite and the transform is defined there."""
        array = np.asarray(values, dtype=np.float64)
        return np.isfinite(array) & (array > self.above)

    def forward(self, values: ArrayLike) -> _Array:
        """Return the transformed values, float64, same shape.

        Raises:
            InputError: a value is not finite or outside the domain.
        """
        array = np.asarray(values, dtype=np.float64)
        good = self.defined(array)
        if not np.all(good):
            bad = np.atleast_1d(array)[~np.atleast_1d(good)][0]
            raise InputError(
                f"{self.formula} is not defined for the target value {bad:g}: leave that row out."
            )
        return self._forward(array)

    def inverse(self, values: ArrayLike) -> _Array:
        """Return the values in the original unit, float64, same shape."""
        return self._inverse(np.asarray(values, dtype=np.float64))

    def unit_of(self, unit: str) -> str:
        """Return the unit of the transformed target, given the original ``unit``."""
        return self.unit_format.format(unit=unit or "1") if self.name else unit


def _copy(values: _Array) -> _Array:
    return values.copy()


def _power_of_ten(values: _Array) -> _Array:
    return np.asarray(10.0**values, dtype=np.float64)


TRANSFORMS: dict[str | None, Transform] = {
    transform.name: transform
    for transform in (
        Transform(None, -np.inf, "{unit}", "x", _copy, _copy),
        Transform("log10", 0.0, "log10({unit})", "log10(x)", np.log10, _power_of_ten),
        Transform("ln", 0.0, "log({unit})", "ln(x)", np.log, np.exp),
        Transform("ln1p", -1.0, "log(1+{unit})", "ln(1 + x)", np.log1p, np.expm1),
        Transform("asinh", -np.inf, "asinh({unit})", "asinh(x)", np.arcsinh, np.sinh),
    )
}
"""All transforms by name."""


def get_transform(name: str | None) -> Transform:
    """Return the transform called ``name``; ``None`` gives the identity.

    Raises:
        UnknownNameError: there is no such transform; the message lists them.
    """
    try:
        return TRANSFORMS[name]
    except KeyError:
        known = [key for key in TRANSFORMS if key is not None]
        raise UnknownNameError("transform", str(name), known) from None
