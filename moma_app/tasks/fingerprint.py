"""A short vector for a crystal that does not depend on how its cell was chosen.

For each pair of elements A and B,

    f_AB(m) = 1/N Σ_{i∈A} Σ_{j∈B} (1 - x²)² cos(mπx),   x = r_ij / R < 1,

with N atoms in the cell, r_ij the distances to all periodic images, and R three times the cube root
of the volume per atom (about 110 neighbours): moments of the partial radial distribution functions.

They are the same for the primitive cell, a conventional cell and a supercell, after rotation,
translation, inversion and reordering of atoms, and after uniform scaling; they change smoothly when atoms move.
Being sums over pairs, they cannot tell mirror images apart, nor structures with the same
distances within R, such as long polytypes (SiC, ZnS) or layers that are stacked in another way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moma_app.structures import Crystal

REACH = 3.0
"""R in cube roots of the volume per atom."""
WAVES = 12
"""Moments m = 0, 1, … of each pair of elements."""
_AT_ONCE = 2_000_000  # distances; about 100 MB
_SAME_SITE = 1e-6  # Å²


def fingerprint(crystal: Crystal) -> NDArray[np.float64]:
    """Return the moments of a crystal with k elements, float64 [k · k · WAVES].

    Element pairs are in the order of atomic numbers, so that vectors of one formula can be compared.
    """
    n, volume = len(crystal), crystal.volume
    reach = REACH * np.cbrt(volume / n)
    kinds = np.unique(crystal.numbers, return_inverse=True)[1]
    n_pairs = (int(kinds.max()) + 1) ** 2
    translations = _translations(crystal.cell, volume, reach)
    moments = np.zeros((WAVES, n_pairs))
    step = max(1, int(_AT_ONCE / (n * len(translations))))
    for start in range(0, n, step):
        difference = crystal.frac_coords[None] - crystal.frac_coords[start : start + step, None]
        vectors = ((difference - np.round(difference)) @ crystal.cell)[:, :, None, :] + translations
        squares = np.einsum("ijtx,ijtx->ijt", vectors, vectors)
        i, j, t = np.nonzero((squares < reach**2) & (squares > _SAME_SITE))
        x = np.sqrt(squares[i, j, t]) / reach
        pair = kinds[i + start] * (int(kinds.max()) + 1) + kinds[j]
        weight = (1.0 - x**2) ** 2
        for wave in range(WAVES):
            moments[wave] += np.bincount(pair, weight * np.cos(wave * np.pi * x), n_pairs)
    return moments.ravel() / n


def _translations(cell: NDArray[np.float64], volume: float, reach: float) -> NDArray[np.float64]:
    """Return all lattice translations that can bring an atom within ``reach``, Å [n, 3].

    Differences of fractional coordinates lie in ±½, and planes of the lattice are heights apart.
    """
    heights = volume / np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    most = np.floor(reach / heights + 0.5).astype(int)
    grid = np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij")
    translations: NDArray[np.float64] = np.stack(grid, axis=-1).reshape(-1, 3) @ cell
    return translations


def distances(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return relative distances |u - v| / max(|u|, |v|) of fingerprints [a, d] and [b, d], float64 [a, b]."""
    mine, other = np.linalg.norm(ours, axis=1)[:, None], np.linalg.norm(theirs, axis=1)[None]
    squares = mine**2 + other**2 - 2 * ours @ theirs.T
    largest = np.maximum(np.maximum(mine, other), np.finfo(float).tiny)
    relative: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0)) / largest
    return relative
