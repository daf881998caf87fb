"""Which elements a backbone knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError


def check_elements(numbers: NDArray[np.integer[Any]], max_number: int, backbone: str) -> None:
    """Refuse elements that the backbone was never trained on.

    Raises:
        InputError: naming the elements.
    """
    unknown = np.unique(numbers[(numbers < 1) | (numbers > max_number)]).tolist()
    if unknown:
        from ase.data import chemical_symbols

        names = ", ".join(chemical_symbols[z] if 0 < z < len(chemical_symbols) else f"Z={z}" for z in unknown)
        raise InputError(
            f"Backbone {backbone!r} does not know the element {names} (it knows Z = 1 to {max_number})."
        )
