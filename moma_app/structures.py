"""Periodic structures as plain arrays, converted from other libraries once, at the edge.

``Crystal`` is one structure; ``StructureSet`` packs many into flat arrays, so that graphs are
built and files are read without a Python object per atom. Both give pymatgen objects back
when asked, and neither needs pymatgen for anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError, StructureRefusedError
from moma_app.formulas import reduced_formula
from moma_app.text import brief, count

if TYPE_CHECKING:
    from pymatgen.core import Structure

VACUUM = 12.0
"""Vacuum (Å) put around a molecule on each side, so that no image is within any cutoff."""
HEAVIEST = 118
"""Atomic number of the last element (Og)."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """One ordered, periodic structure.

    Attributes:
        numbers: atomic numbers, int16 [n_atoms].
        cell: lattice vectors a, b, c as rows in Å, float64 [3, 3].
        frac_coords: fractional coordinates, float64 [n_atoms, 3].
    """

    numbers: NDArray[np.int16]
    cell: NDArray[np.float64]
    frac_coords: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        return brief(self, f"{reduced_formula(self.numbers.tolist())}: {count(len(self), 'atom')}")

    @property
    def volume(self) -> float:
        """Volume of the cell in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    def to_pymatgen(self) -> Structure:
        """Return the structure as a pymatgen ``Structure``."""
        from pymatgen.core import Structure

        return Structure(self.cell, self.numbers.tolist(), self.frac_coords)

    @classmethod
    def from_any(cls, obj: Any) -> Crystal:
        """Convert a pymatgen ``Structure``/``Molecule``, an ASE ``Atoms`` or a ``Crystal``.

        A molecule, and an ASE object that is not periodic, is put in a box with vacuum.

        Raises:
            InputError: the object is of another type, empty, disordered, holds dummy species, or its
                periodic cell has no volume.
        """
        if isinstance(obj, cls):
            return obj
        if hasattr(obj, "get_atomic_numbers"):
            return cls._from_ase(obj)
        if hasattr(obj, "species_and_occu"):
            return cls._from_pymatgen(obj)
        what = "a text" if isinstance(obj, str) else f"an object of type {type(obj).__name__}"
        raise InputError(f"A structure must be a pymatgen Structure or an ASE Atoms, not {what}.")

    @classmethod
    def _from_pymatgen(cls, structure: Any) -> Crystal:
        if not structure.is_ordered:
            raise InputError(
                f"Structure {structure.formula} is disordered (sites with partial occupancy): "
                "order it first, for example with pymatgen's OrderDisorderedStructureTransformation."
            )
        numbers = _atomic_numbers([getattr(site.specie, "Z", 0) for site in structure], structure.formula)
        if not hasattr(structure, "lattice"):
            return cls.in_vacuum(numbers, np.asarray(structure.cart_coords, dtype=np.float64))
        return cls(
            numbers,
            np.array(structure.lattice.matrix, dtype=np.float64),
            np.array(structure.frac_coords, dtype=np.float64),
        )

    @classmethod
    def _from_ase(cls, atoms: Any) -> Crystal:
        numbers = _atomic_numbers(atoms.get_atomic_numbers(), str(atoms.symbols))
        if not any(atoms.pbc):
            return cls.in_vacuum(numbers, np.asarray(atoms.get_positions(), dtype=np.float64))
        atoms = atoms.copy()
        if not all(atoms.pbc):  # a slab or wire: the open directions become a box with vacuum
            open_axes = [axis for axis in range(3) if not atoms.pbc[axis]]
            atoms.center(vacuum=VACUUM, axis=open_axes)
        cell = np.array(atoms.cell.array, dtype=np.float64)
        if np.linalg.det(cell) == 0:
            raise InputError(f"Structure {atoms.symbols} is periodic, but its cell has no volume.")
        return cls(numbers, cell, np.array(atoms.get_scaled_positions(wrap=False), dtype=np.float64))

    @classmethod
    def in_vacuum(cls, numbers: NDArray[np.int16], positions: NDArray[np.float64]) -> Crystal:
        """Put a molecule with Cartesian ``positions`` [n_atoms, 3] (Å) in an orthogonal box."""
        low, high = positions.min(axis=0), positions.max(axis=0)
        lengths = high - low + 2 * VACUUM
        return cls(numbers, np.diag(lengths), (positions - low + VACUUM) / lengths)


def several(structures: Any) -> Iterable[Any]:
    """Return structures as they are, and a single one as a list of one: its own items would be atoms."""
    single = isinstance(structures, str | PathLike | Crystal | Mapping) or any(
        hasattr(structures, name) for name in ("get_atomic_numbers", "species_and_occu")
    )
    found: Iterable[Any] = [structures] if single else structures
    return found


def _crystal(obj: Any, position: int) -> Crystal:
    try:
        return Crystal.from_any(obj)
    except InputError as exc:
        raise StructureRefusedError(position, str(exc)) from exc


def _atomic_numbers(numbers: Iterable[int], formula: str) -> NDArray[np.int16]:
    """Check atomic numbers; pymatgen gives a hash as that of a dummy species, ASE gives 0."""
    values = [int(number) for number in numbers]
    if not values:
        raise InputError("A structure needs at least one atom.")
    if not all(1 <= value <= HEAVIEST for value in values):
        raise InputError(f"Structure {formula} holds a species that is no element.")
    return np.array(values, dtype=np.int16)


@dataclass(frozen=True, eq=False)
class StructureSet(Sequence[Crystal]):
    """Many structures in flat arrays.

    Attributes:
        numbers: atomic numbers of all structures, int16 [n_atoms_total].
        cells: lattice vectors as rows in Å, float64 [n, 3, 3].
        frac_coords: fractional coordinates, float64 [n_atoms_total, 3].
        ptr: atoms of structure i are rows ptr[i]:ptr[i+1], int64 [n + 1].
    """

    numbers: NDArray[np.int16]
    cells: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    ptr: NDArray[np.int64]

    @classmethod
    def from_any(cls, structures: Iterable[Any]) -> StructureSet:
        """Pack pymatgen, ASE or ``Crystal`` objects, several or a single one; see :meth:`Crystal.from_any`.

        Raises:
            StructureRefusedError: one of them cannot be used; it names its position.
        """
        if isinstance(structures, cls):
            return structures
        crystals = [_crystal(obj, position) for position, obj in enumerate(several(structures))]
        if not crystals:
            empty = np.zeros
            return cls(empty(0, np.int16), empty((0, 3, 3)), empty((0, 3)), empty(1, np.int64))
        return cls(
            np.concatenate([c.numbers for c in crystals]),
            np.stack([c.cell for c in crystals]),
            np.concatenate([c.frac_coords for c in crystals]),
            np.concatenate([[0], np.cumsum([len(c) for c in crystals])]).astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return brief(self, f"of {count(len(self), 'structure')}, {count(len(self.numbers), 'atom')}")

    @overload
    def __getitem__(self, index: int) -> Crystal: ...
    @overload
    def __getitem__(self, index: slice) -> StructureSet: ...
    def __getitem__(self, index: int | slice) -> Crystal | StructureSet:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        rows = slice(self.ptr[index], self.ptr[index + 1])
        return Crystal(self.numbers[rows], self.cells[index], self.frac_coords[rows])

    def __iter__(self) -> Iterator[Crystal]:
        return (self[i] for i in range(len(self)))

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms of each structure, int64 [n]."""
        return np.diff(self.ptr)

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> StructureSet:
        """Return the structures at ``indices``, in that order; negative ones count from the end.

        Raises:
            IndexError: there is no such structure.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        chosen = np.where(chosen < 0, chosen + len(self), chosen)
        if ((chosen < 0) | (chosen >= len(self))).any():
            raise IndexError(f"There are {len(self)} structures: an index is outside of them.")
        counts = self.n_atoms[chosen]
        ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        atoms = np.arange(ptr[-1]) + np.repeat(self.ptr[chosen] - ptr[:-1], counts)
        return StructureSet(self.numbers[atoms], self.cells[chosen], self.frac_coords[atoms], ptr)

    def to_pymatgen(self) -> list[Structure]:
        """Return pymatgen ``Structure`` objects."""
        return [crystal.to_pymatgen() for crystal in self]
