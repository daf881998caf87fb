"""A structure as a flat picture (SVG), where nothing runs: in reports, on nbviewer, on GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moma_app.markup import Markup, element, join

if TYPE_CHECKING:
    from moma_app.plots.crystals.payload import StructurePayload

EDGES = tuple((i, i | 1 << axis) for i in range(8) for axis in range(3) if not i & 1 << axis)
"""Edges of the cell as pairs of corners; corner i lies at the sum of the lattice vectors whose bit is set in i."""
_MOST = 1500
"""Atoms that are drawn at most, those nearest to the eye."""
_GREY = "#8b949e"


def structure_svg(structure: StructurePayload, *, size: int = 220) -> Markup:
    """Return a structure in its first view as an SVG of ``size`` pixels: cell, bonds, atoms, from far to near."""
    atoms = np.array(structure["positions"], dtype=np.float64).reshape(-1, 3)
    corners = _corners(structure["cell"])
    shown = np.vstack([atoms, corners]) if structure["whole_cell"] and len(corners) else atoms
    radii = np.array([0.2 + 0.25 * each["radius"] for each in structure["elements"]])[structure["kinds"]]
    reach = float(radii.max())
    low, high = shown[:, :2].min(axis=0) - reach, shown[:, :2].max(axis=0) + reach
    scale = (size - 8) / float((high - low).max())
    middle = (low + high) / 2

    def at(point: NDArray[np.float64]) -> tuple[str, str]:
        x, y = (point[:2] - middle) * (scale, -scale) + size / 2
        return f"{x:.1f}", f"{y:.1f}"

    def line(start: NDArray[np.float64], end: NDArray[np.float64], color: str, width: float) -> Markup:
        (x1, y1), (x2, y2) = at(start), at(end)
        return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=color, stroke_width=f"{width:.1f}")

    pieces: list[tuple[float, Markup]] = []
    for one, other in EDGES if len(corners) else ():
        start, end = corners[one], corners[other]
        pieces.append((float(min(start[2], end[2])), line(start, end, _GREY, 1.0)))
    colors = [structure["elements"][kind]["color"] for kind in structure["kinds"]]
    near = np.argsort(-atoms[:, 2])[:_MOST]
    drawn = set(near.tolist())
    for one, other in np.array(structure["bonds"], dtype=int).reshape(-1, 2).tolist():
        if one in drawn and other in drawn:
            half = (atoms[one] + atoms[other]) / 2
            depth = float(half[2]) - 1e-3
            pieces.append((depth, line(atoms[one], half, colors[one], 0.22 * scale)))
            pieces.append((depth, line(half, atoms[other], colors[other], 0.22 * scale)))
    for atom in near.tolist():
        x, y = at(atoms[atom])
        circle = element(
            "circle",
            cx=x,
            cy=y,
            r=f"{radii[atom] * scale:.1f}",
            fill=colors[atom],
            stroke="#59636e",
            stroke_width="0.7",
        )
        pieces.append((float(atoms[atom, 2]), circle))
    pieces.sort(key=lambda piece: piece[0])
    return element(
        "svg",
        element("title", f"Structure of {structure['formula']}"),
        join(piece for _, piece in pieces),
        xmlns="http://www.w3.org/2000/svg",
        width=f"{size}",
        height=f"{size}",
        viewBox=f"0 0 {size} {size}",
        role="img",
    )


def _corners(cell: list[float]) -> NDArray[np.float64]:
    vectors = np.array(cell, dtype=np.float64).reshape(-1, 3)
    if not len(vectors):
        return vectors
    bits = np.array([[i >> axis & 1 for axis in range(3)] for i in range(8)])
    corners: NDArray[np.float64] = bits @ vectors
    return corners
