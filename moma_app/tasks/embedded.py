"""The one task whose data is always there: elemental crystals that ship with ASE."""

from __future__ import annotations

import threading

import numpy as np

from moma_app.structures import StructureSet
from moma_app.tasks.catalogue import get_spec
from moma_app.tasks.data import TaskData
from moma_app.tasks.transforms import get_transform

NAME = "elemental_bulk_modulus"


_READING = threading.Lock()
"""ASE fills its collection at the first look; two threads at once would fill it twice."""


def elemental_bulk_modulus() -> TaskData:
    """Return the 71 elemental crystals of ``ase.collections.dcdft``.

    Targets are log10 of the bulk modulus in GPa at the WIEN2k (PBE) equilibrium, the reference
    of the Delta project (Lejaeghere et al. 2014); ASE stores them in GPa as ``wien2k_B``. They
    span 0.5 GPa (Xe) to 397 GPa (Os); carbon is graphite. Rows are in ASE's order, by atomic
    number.
    """
    from ase.collections import dcdft

    spec = get_spec(NAME)
    with _READING:
        symbols = list(dcdft.names)
    structures = StructureSet.from_any([dcdft[symbol] for symbol in symbols])
    moduli = np.array([dcdft.data[symbol]["wien2k_B"] for symbol in symbols])
    return TaskData(
        spec=spec,
        ids=[f"dcdft-{symbol}" for symbol in symbols],
        rows=np.arange(len(symbols), dtype=np.int32),
        structures=structures,
        targets=get_transform(spec.transform).forward(moduli),
        metadata={"origin": "ase.collections.dcdft"},
    )
