"""What the structure viewer draws, as plain data: atoms, bonds and cell in the frame of the first view."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import product
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.formulas import reduced_formula
from moma_app.structures import Crystal

MOST_BONDED = 1000
"""Atoms in a cell, beyond which no bonds are drawn."""
MOST_DRAWN = 20_000
"""Atoms in a cell, beyond which the browser would be asked too much."""
SLACK = 0.4
"""Å that a bond may be longer than the sum of the covalent radii, as in the Cambridge Structural Database."""
SHELL = 1.1
"""In a metal, neighbours up to this multiple of the nearest one's distance are bonded."""
LARGEST_POLYHEDRON = 6
"""Corners up to which a coordination polyhedron is completed beyond the cell."""
VACUUM = 8.0
"""Å between layers, wires or molecules, from which on they are drawn whole and without what lies between."""
LAYER_ATOMS, LAYER_WIDTH = 30, 9.0
"""Cells of a layer up to so many atoms are repeated up to such a width (Å)."""
_ON_FACE = 1e-3
_TURN, _TILT = np.radians(-24.0), np.radians(13.0)
NONMETALS = frozenset(
    (1, 2, *range(5, 11), *range(14, 19), *range(32, 37), *range(51, 55), 85, 86)
)  # H, He, B to Ne, Si to Ar, Ge to Kr, Sb to Xe, At, Rn


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
        cell: lattice vectors as rows in the frame of the view, Å [9].
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

    Atoms on a face, edge or corner of the cell are drawn on all its sides. Small coordination polyhedra round
    atoms inside the cell are completed with atoms of the next cells. A layer or wire in a vacuum is repeated.

    Args:
        crystal: the structure.
        label: its name, such as a material id.
        note: what else to say, such as its target with the unit.

    Raises:
        InputError: it has no atoms, more than 20,000, or numbers that are not finite.
    """
    if not 0 < len(crystal) <= MOST_DRAWN:
        raise InputError(f"A structure of {len(crystal)} atoms cannot be drawn: 1 to {MOST_DRAWN} can.")
    if not (np.isfinite(crystal.cell).all() and np.isfinite(crystal.frac_coords).all()):
        raise InputError("A structure whose cell or coordinates are not finite numbers cannot be drawn.")
    cell = crystal.cell @ view_axes(crystal.cell).T
    inside, vacuum = _placed(crystal)
    repeats = _repeats(crystal, vacuum)
    drawn = _drawn(crystal, inside, repeats)
    symbols, colors, radii = _element_tables()
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
        cell=_rounded(cell),
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


def _drawn(crystal: Crystal, inside: NDArray[np.float64], repeats: tuple[int, int, int]) -> _Drawn:
    home = np.arange(len(crystal))
    if len(crystal) > MOST_BONDED:
        return _Drawn(home, np.zeros((len(crystal), 3), np.int64), np.zeros((0, 2), np.int64))
    center, neighbor, image = _bonded(crystal, inside)
    completed = _completed(crystal, center, neighbor)
    by_center = np.searchsorted(center, np.arange(len(crystal) + 1))
    places = {place: number for number, place in enumerate(_in_the_box(inside, repeats))}
    on_face = np.abs(inside) <= _ON_FACE
    bonds: set[tuple[int, int]] = set()
    for (atom, *shift), number in list(places.items()):
        within = not on_face[atom].any()
        for pair in range(by_center[atom], by_center[atom + 1]):
            x, y, z = (image[pair] + shift).tolist()
            other = (int(neighbor[pair]), x, y, z)
            if within and completed[pair]:
                places.setdefault(other, len(places))
            if other in places:
                bonds.add((min(number, places[other]), max(number, places[other])))
    table = np.array(list(places), dtype=np.int64)
    return _Drawn(table[:, 0], table[:, 1:], np.array(sorted(bonds), dtype=np.int64).reshape(-1, 2))


def _placed(crystal: Crystal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return fractional coordinates [n, 3] such that no layer or molecule is cut, and the axes with vacuum [3].

    Coordinates run from 0 (a little less is taken for it) to below 1, and along a vacuum from where it ends.
    """
    wrapped = (crystal.frac_coords + _ON_FACE) % 1.0 - _ON_FACE
    heights = crystal.volume / np.linalg.norm(np.cross(crystal.cell[[1, 2, 0]], crystal.cell[[2, 0, 1]]), axis=1)
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


def _in_the_box(
    coords: NDArray[np.float64], repeats: tuple[int, int, int]
) -> list[tuple[int, int, int, int]]:
    """Return atom and translation of the cell's atoms, then of their images in the box and on its faces."""
    on_face = np.abs(coords) <= _ON_FACE
    images = []
    for atom, faces in enumerate(on_face.tolist()):
        x, y, z = (range(count + face) for count, face in zip(repeats, faces, strict=True))
        images += [(atom, *shift) for shift in product(x, y, z) if any(shift)]
    return [(atom, 0, 0, 0) for atom in range(len(coords))] + images


def _bonded(
    crystal: Crystal, inside: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return bonded pairs, by centre: centre [n], neighbour [n], lattice translation of the neighbour [n, 3].

    Atoms are bonded up to the sum of their covalent radii (Cordero et al., Dalton Trans. 2008, 2832) and 0.4 Å;
    metals in a compound with non-metals not among themselves. Where all are metals, the nearest shell is bonded.
    """
    from ase.neighborlist import primitive_neighbor_list

    radii = _element_tables()[2][crystal.numbers]
    nonmetal = np.isin(crystal.numbers, list(NONMETALS))
    metallic = not nonmetal.any()
    center, neighbor, image, distance = primitive_neighbor_list(
        "ijSd",
        (True, True, True),
        crystal.cell,
        inside,
        radii * 1.3 + SLACK / 2 if metallic else radii + SLACK / 2,
        use_scaled_positions=True,
    )
    if metallic:
        nearest = np.full(len(crystal), np.inf)
        np.minimum.at(nearest, center, distance)
        kept = distance <= SHELL * np.maximum(nearest[center], nearest[neighbor])
    else:
        kept = nonmetal[center] | nonmetal[neighbor]
    order = np.flatnonzero(kept)
    order = order[np.argsort(center[order], kind="stable")]
    return center[order], neighbor[order], image[order]


def _completed(crystal: Crystal, center: NDArray[np.int64], neighbor: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell of each bond whether its neighbour is drawn beyond the cell: a smaller atom round a small polyhedron."""
    radii = _element_tables()[2][crystal.numbers]
    corners = np.bincount(center, minlength=len(crystal))
    nonmetal = np.isin(crystal.numbers, list(NONMETALS))
    completed: NDArray[np.bool_] = (
        nonmetal[neighbor] & (radii[neighbor] < radii[center]) & (corners[center] <= LARGEST_POLYHEDRON)
    )
    return completed


@cache
def _element_tables() -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """Return symbols, Jmol's colours (as ``#rrggbb``) and covalent radii (Å) by atomic number."""
    from ase.data import chemical_symbols, covalent_radii
    from ase.data.colors import jmol_colors

    grey = [(0.75, 0.75, 0.75)] * (len(chemical_symbols) - len(jmol_colors))
    rgb = np.rint(np.vstack([jmol_colors, *grey]) * 255).astype(int)
    return tuple(chemical_symbols), tuple("#{:02x}{:02x}{:02x}".format(*c) for c in rgb), covalent_radii


def _rounded(values: NDArray[np.float64]) -> list[float]:
    rounded: list[Any] = np.round(values, 3).ravel().tolist()
    return rounded
