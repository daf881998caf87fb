"""What the structure viewer draws, as plain data: atoms, bonds and cell in the frame of the first view."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.formulas import reduced_formula
from moma_app.plots.crystals.bonds import element_tables, find_bonds
from moma_app.structures import Crystal

MOST_BONDED = 1000
"""Atoms in a cell, beyond which no bonds are drawn."""
MOST_DRAWN = 20_000
"""Atoms in a cell, beyond which the browser would be asked too much."""
VACUUM = 8.0
"""Å between layers, wires or molecules, from which on they are drawn whole and without what lies between."""
LAYER_ATOMS, LAYER_WIDTH = 30, 9.0
"""Cells of a layer up to so many atoms are repeated up to such a width (Å)."""
_FLATTEST = 1e-4  # volume of a cell in units of the product of its lengths
_ON_FACE = 1e-3
_TURN, _TILT = np.radians(-24.0), np.radians(13.0)


class ElementPayload(TypedDict):
    """An element of the legend: its look and how many atoms of it are in the cell; ``radius`` in Å."""

    symbol: str
    color: str
    radius: float
    count: int


class StructurePayload(TypedDict):
    """One structure, JSON-ready. All text is text, never markup.

    Attributes:
        label, note: what the face says of it.
        formula: reduced formula.
        n_atoms: in the cell.
        lengths, angles, volume: of the cell, in Å, degrees and Å³.
        cell: lattice vectors as rows in the frame of the view, Å [9]; empty for a molecule in a vacuum.
        elements: of the cell, in the order that ``kinds`` refers to.
        kinds: element of each drawn atom, int [n_drawn]; the atoms of the cell come first.
        positions: of the drawn atoms in the frame of the view, Å [3 · n_drawn].
        bonds: pairs of drawn atoms, int [2 · n_bonds].
        whole_cell: whether the first view shows the whole cell, or only its atoms (in a vacuum).
        remark: what the picture leaves out or repeats; empty if nothing.
    """

    label: str
    note: str
    formula: str
    n_atoms: int
    lengths: list[float]
    angles: list[float]
    volume: float
    cell: list[float]
    elements: list[ElementPayload]
    kinds: list[int]
    positions: list[float]
    bonds: list[int]
    whole_cell: bool
    remark: str


class _Drawn(NamedTuple):
    """What is drawn: atom [n] and lattice translation [n, 3], the cell's own first, and bonds between them [m, 2]."""

    atoms: NDArray[np.int64]
    images: NDArray[np.int64]
    bonds: NDArray[np.int64]


def payload_of(crystal: Crystal, label: str = "", note: str = "") -> StructurePayload:
    """Return what the viewer draws of a structure.

    Atoms on a face, edge or corner of the cell are drawn on all its sides, and small coordination polyhedra
    are completed with atoms of the next cells (see ``bonds``). A layer or wire in a vacuum is repeated.

    Args:
        crystal: the structure.
        label: its name, such as a material id.
        note: what else to say, such as its target with the unit.

    Raises:
        InputError: it has no atoms, more than 20,000, numbers that are not finite, or a flat cell.
    """
    if not 0 < len(crystal) <= MOST_DRAWN:
        raise InputError(f"A structure of {len(crystal)} atoms cannot be drawn: 1 to {MOST_DRAWN} can.")
    if not (np.isfinite(crystal.cell).all() and np.isfinite(crystal.frac_coords).all()):
        raise InputError("A structure whose cell or coordinates are not finite numbers cannot be drawn.")
    if crystal.volume <= _FLATTEST * np.linalg.norm(crystal.cell, axis=1).prod():
        raise InputError("A structure whose cell has no volume cannot be drawn.")
    cell = crystal.cell @ view_axes(crystal.cell).T
    inside, vacuum = _placed(crystal)
    repeats = _repeats(crystal, vacuum)
    drawn = _drawn(crystal, inside, (np.abs(inside) <= _ON_FACE) & ~vacuum, repeats)
    symbols, colors, radii = element_tables()
    counts = Counter(crystal.numbers.tolist())
    kinds = {number: kind for kind, number in enumerate(counts)}
    lengths, angles = cell_parameters(crystal.cell)
    return StructurePayload(
        label=label,
        note=note,
        formula=reduced_formula(crystal.numbers.tolist()),
        n_atoms=len(crystal),
        lengths=[round(float(x), 3) for x in lengths],
        angles=[round(float(x), 2) for x in angles],
        volume=round(crystal.volume, 2),
        cell=[] if vacuum.all() else _rounded(cell),
        elements=[
            ElementPayload(symbol=symbols[z], color=colors[z], radius=round(float(radii[z]), 2), count=count)
            for z, count in counts.items()
        ],
        kinds=[kinds[number] for number in crystal.numbers[drawn.atoms].tolist()],
        positions=_rounded((inside[drawn.atoms] + drawn.images) @ cell),
        bonds=drawn.bonds.ravel().tolist(),
        whole_cell=not vacuum.any(),
        remark=_remark(len(crystal), repeats),
    )


def _remark(n_atoms: int, repeats: tuple[int, int, int]) -> str:
    if n_atoms > MOST_BONDED:
        return f"more than {MOST_BONDED:,} atoms: bonds are not drawn"
    return "" if repeats == (1, 1, 1) else "{} × {} × {} cells are drawn".format(*repeats)


def cell_parameters(cell: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a, b, c in Å and α, β, γ in degrees of a cell with the lattice vectors as rows [3, 3]."""
    lengths = np.linalg.norm(cell, axis=1)
    units = cell / np.where(lengths > 0, lengths, 1.0)[:, None]
    cosines = np.array([units[1] @ units[2], units[0] @ units[2], units[0] @ units[1]])
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


def view_axes(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the axes right, up and towards the eye as rows [3, 3] of the first view: c up, a towards the eye."""
    q, r = np.linalg.qr(cell[[2, 1]].T, mode="complete")
    up, right = (q[:, i] * (np.sign(r[i, i]) or 1.0) for i in range(2))
    axes = np.stack([right, up, np.cross(right, up)])
    turn = np.array([[np.cos(_TURN), 0, np.sin(_TURN)], [0, 1, 0], [-np.sin(_TURN), 0, np.cos(_TURN)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(_TILT), -np.sin(_TILT)], [0, np.sin(_TILT), np.cos(_TILT)]])
    turned: NDArray[np.float64] = tilt @ turn @ axes
    return turned


def _drawn(
    crystal: Crystal, inside: NDArray[np.float64], on_face: NDArray[np.bool_], repeats: tuple[int, int, int]
) -> _Drawn:
    home = np.arange(len(crystal))
    if len(crystal) > MOST_BONDED:
        return _Drawn(home, np.zeros((len(crystal), 3), np.int64), np.zeros((0, 2), np.int64))
    bonds = find_bonds(crystal, inside)
    by_center = np.searchsorted(bonds.center, np.arange(len(crystal) + 1))
    places = {place: number for number, place in enumerate(_in_the_box(on_face, repeats))}
    pairs: set[tuple[int, int]] = set()
    for (atom, *shift), number in list(places.items()):
        completed = bonds.always if on_face[atom].any() else bonds.inside
        for bond in range(by_center[atom], by_center[atom + 1]):
            x, y, z = (bonds.image[bond] + shift).tolist()
            other = (int(bonds.neighbor[bond]), x, y, z)
            if completed[bond]:
                places.setdefault(other, len(places))
            if other in places:
                pairs.add((min(number, places[other]), max(number, places[other])))
    table = np.array(list(places), dtype=np.int64)
    return _Drawn(table[:, 0], table[:, 1:], np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2))


def _placed(crystal: Crystal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return fractional coordinates [n, 3] such that no layer or molecule is cut, and the axes with vacuum [3].

    Coordinates run from 0 (a little less is taken for it) to below 1, and along a vacuum from where it ends.
    """
    wrapped = (crystal.frac_coords + _ON_FACE) % 1.0 - _ON_FACE
    heights = crystal.volume / np.linalg.norm(
        np.cross(crystal.cell[[1, 2, 0]], crystal.cell[[2, 0, 1]]), axis=1
    )
    ordered = np.sort(wrapped, axis=0)
    gaps = np.diff(ordered, axis=0, append=ordered[:1] + 1.0)
    widest = gaps.argmax(axis=0)
    vacuum = gaps.max(axis=0) * heights > VACUUM
    for axis in np.flatnonzero(vacuum):
        last = ordered[widest[axis], axis]
        if last < wrapped[:, axis].max():
            wrapped[:, axis] -= wrapped[:, axis] > last + _ON_FACE / 2
    return wrapped, vacuum


def _repeats(crystal: Crystal, vacuum: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return how many cells are drawn along each axis: more than one only in a layer or wire of small cells."""
    lengths = np.linalg.norm(crystal.cell, axis=1)
    few = len(crystal) <= LAYER_ATOMS and vacuum.any()
    a, b, c = np.where(few & ~vacuum, np.ceil(LAYER_WIDTH / lengths), 1).astype(int).clip(1, 4).tolist()
    return a, b, c


def _in_the_box(on_face: NDArray[np.bool_], repeats: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    """Return atom and translation of the cell's atoms, then of their images: repeated, else on opposite faces."""
    images = []
    for atom, faces in enumerate(on_face.tolist()):
        x, y, z = (range(n + (n == 1 and face)) for n, face in zip(repeats, faces, strict=True))
        images += [(atom, *shift) for shift in product(x, y, z) if any(shift)]
    return [(atom, 0, 0, 0) for atom in range(len(on_face))] + images


def _rounded(values: NDArray[np.float64]) -> list[float]:
    rounded: list[Any] = np.round(values, 3).ravel().tolist()
    return rounded
