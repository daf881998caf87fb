"""Structures from text and JSON, read as data only.

pymatgen's own ``from_dict`` decodes site properties with a decoder that imports whatever class
the JSON names; a file from a stranger must not choose what code runs, so its dictionaries are
read here by hand. CIF and POSCAR texts go through pymatgen's parsers.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.structures import Crystal
from moma_app.tasks.reasons import Reason

_CIF = re.compile(r"^\s*(data_|_cell_|loop_)", re.MULTILINE)
_DISORDERED = "disordered: a site is shared or partly empty"
_LONGEST_SHOWN = 60


class StructureError(InputError):
    """A text or object that gives no usable structure.

    The message is a clause that names no file or row; ``code`` is the kind of reason.
    """

    def __init__(self, code: Reason, message: str) -> None:
        self.code: Reason = code
        super().__init__(message)


@dataclass(frozen=True)
class Parsed:
    """A structure and what has to be said about how it was read."""

    crystal: Crystal
    molecule: bool = False
    warnings: tuple[str, ...] = field(default=())


def parse_structure(raw: Any) -> Parsed:
    """Read a structure from CIF text, POSCAR text, or pymatgen's JSON (text or dictionary).

    Raises:
        StructureError: the text is none of these, or not an ordered structure of elements.
    """
    if isinstance(raw, Mapping):
        return parse_pymatgen(raw)
    if not isinstance(raw, str) or not raw.strip():
        raise StructureError("unparsable", "no structure given")
    text = raw.strip("\ufeff")
    if text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise StructureError("unparsable", "looks like JSON but is not valid JSON") from exc
        return parse_pymatgen(content)
    return parse_cif(text) if _CIF.search(text) else parse_poscar(text)


def atomic_number(symbol: str) -> int:
    """Return the atomic number of an element symbol; D and T are hydrogen.

    Raises:
        StructureError: there is no such element.
    """
    from ase.data import atomic_numbers

    known = {"D": 1, "T": 1}.get(symbol) or atomic_numbers.get(symbol, 0)
    if not known:
        raise StructureError("unknown element", f"unknown element {_short(symbol)!r}")
    return int(known)


def parse_pymatgen(content: Mapping[str, Any]) -> Parsed:
    """Read the dictionary of a pymatgen ``Structure`` or ``Molecule``; nothing else in it matters.

    Raises:
        StructureError: keys are missing, a site is disordered, or an element unknown.
    """
    try:
        sites = content["sites"]
        numbers = np.array([_only_element(site["species"]) for site in sites], dtype=np.int16)
        lattice = content.get("lattice")
        if lattice is None:
            positions = np.array([site["xyz"] for site in sites], dtype=np.float64).reshape(len(numbers), 3)
            return _molecule(numbers, positions)
        cell = _lattice_matrix(lattice)
        coords = np.array([site["abc"] for site in sites], dtype=np.float64).reshape(len(numbers), 3)
    except StructureError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as exc:
        raise StructureError("unparsable", "is no pymatgen structure (lattice and sites)") from exc
    if not len(numbers):
        raise StructureError("unparsable", "has no atoms")
    return Parsed(Crystal(numbers, cell, coords))


def _molecule(numbers: NDArray[np.int16], positions: NDArray[np.float64]) -> Parsed:
    if not len(numbers):
        raise StructureError("unparsable", "has no atoms")
    if not np.isfinite(positions).all():
        raise StructureError("unparsable", "a coordinate is not finite")
    return Parsed(Crystal.in_vacuum(numbers, positions), molecule=True)


def _only_element(species: Any) -> int:
    if len(species) != 1 or abs(float(species[0].get("occu", 1)) - 1) > 1e-6:
        raise StructureError("disordered", _DISORDERED)
    return atomic_number(str(species[0]["element"]))


def _lattice_matrix(lattice: Mapping[str, Any]) -> NDArray[np.float64]:
    if "matrix" in lattice:
        return np.array(lattice["matrix"], dtype=np.float64).reshape(3, 3)
    from ase.geometry import cellpar_to_cell

    parameters = [float(lattice[key]) for key in ("a", "b", "c", "alpha", "beta", "gamma")]
    return np.asarray(cellpar_to_cell(parameters), dtype=np.float64)


def parse_cif(text: str) -> Parsed:
    """Read one structure from CIF text with pymatgen.

    Raises:
        StructureError: not readable, several structures, disordered, or an unknown element.
    """
    from pymatgen.io.cif import CifFile, CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            blocks = CifFile.from_str(text).data
        except Exception as exc:
            raise StructureError("unparsable", "is no valid CIF") from exc
        with_atoms = [block.data for block in blocks.values() if _atom_symbols(block.data)]
        for block in with_atoms:  # pymatgen would leave such atoms out without a word
            for symbol in _atom_symbols(block):
                _check_cif_symbol(symbol)
        if len(with_atoms) > 1:
            raise StructureError("unparsable", f"holds {len(with_atoms)} structures, one is expected")
        try:
            parser = CifParser.from_str(text)
            structures = parser.parse_structures(primitive=False, on_error="raise")
        except Exception as exc:
            if "occupanc" in str(exc).lower():
                raise StructureError("disordered", _DISORDERED) from exc
            raise StructureError("unparsable", "is a CIF without a readable structure") from exc
    if len(structures) != 1:
        raise StructureError("unparsable", f"holds {len(structures)} structures, one is expected")
    return _from_pymatgen(structures[0], tuple(str(message) for message in parser.warnings))


def _atom_symbols(block: Mapping[str, Any]) -> list[str]:
    column = block.get("_atom_site_type_symbol") or block.get("_atom_site_label") or []
    return [column] if isinstance(column, str) else [str(symbol) for symbol in column]


def _check_cif_symbol(symbol: str) -> None:
    """Raise unless ``symbol`` starts with an element, such as ``Fe``, ``FE1``, ``O2-`` or ``C3``."""
    candidates = (symbol[:2].title(), symbol[:1].upper())
    if not any(_is_element(candidate) for candidate in candidates):
        raise StructureError("unknown element", f"unknown element {_short(symbol)!r}")


def _is_element(symbol: str) -> bool:
    try:
        atomic_number(symbol)
    except StructureError:
        return False
    return True


def parse_poscar(text: str) -> Parsed:
    """Read a structure from VASP POSCAR text (version 5, with element names) with pymatgen.

    Raises:
        StructureError: not readable, without element names, or an unknown element.
    """
    lines = text.splitlines()
    names = lines[5].split() if len(lines) > 6 else []
    if not names:
        raise StructureError("unparsable", "is neither CIF, POSCAR nor pymatgen JSON")
    if all(name.isdigit() for name in names):
        raise StructureError(
            "unparsable", "is a POSCAR without element names (VASP 4): add the line of symbols"
        )
    try:
        counts = [int(count) for count in lines[6].split()]
        [float(x) for line in lines[1:5] for x in line.split()]
    except ValueError as exc:
        raise StructureError("unparsable", "is neither CIF, POSCAR nor pymatgen JSON") from exc
    if len(counts) != len(names):
        raise StructureError("unparsable", f"is a POSCAR with {len(names)} elements but {len(counts)} counts")
    for name in names:  # potential names such as Fe_pv are customary
        atomic_number(re.split(r"[_/]", name)[0])
    from pymatgen.io.vasp.inputs import Poscar

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            structure = Poscar.from_str(text).structure
        except Exception as exc:
            raise StructureError("unparsable", "is a POSCAR that cannot be read") from exc
    return _from_pymatgen(structure, ())


def _from_pymatgen(structure: Any, messages: tuple[str, ...]) -> Parsed:
    if not structure.is_ordered:
        raise StructureError("disordered", _DISORDERED)
    for site in structure:  # a dummy species has an atomic number too, but no meaningful one
        atomic_number(site.specie.symbol)
    return Parsed(Crystal.from_any(structure), warnings=messages)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
