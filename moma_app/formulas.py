"""Reduced chemical formulas from atomic numbers, as pymatgen writes them, without its start-up time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

SYMBOLS = (  # noqa: SIM905 - a table to be read
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
    "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt "
    "Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv "
    "Ts Og"
).split()
"""Symbols by atomic number; 0 is no element."""
_PAULING = (  # noqa: SIM905 - a table to be read
    "- 2.2 - 0.98 1.57 2.04 2.55 3.04 3.44 3.98 - 0.93 1.31 1.61 1.9 2.19 2.58 3.16 - 0.82 1 1.36 1.54 1.63 1.66 1.55 "
    "1.83 1.88 1.91 1.9 1.65 1.81 2.01 2.18 2.55 2.96 3 0.82 0.95 1.22 1.33 1.6 2.16 1.9 2.2 2.28 2.2 1.93 1.69 1.78 "
    "1.96 2.05 2.1 2.66 2.6 0.79 0.89 1.1 1.12 1.13 1.14 1.13 1.17 1.2 1.2 1.1 1.22 1.23 1.24 1.25 1.1 1.27 1.3 1.5 "
    "2.36 1.9 2.2 2.2 2.28 2.54 2 1.62 2.33 2.02 2 2.2 2.2 0.7 0.9 1.1 1.3 1.5 1.38 1.36 1.28 1.3 1.3 1.3 1.3 1.3 1.3 "
    "1.3 1.3 1.3"
).split()
ELECTRONEGATIVITY = tuple(math.inf if x == "-" else float(x) for x in _PAULING)
"""Pauling's scale by atomic number; infinite where it has no value, so that such elements come last."""
ANION_STEP = 1.65
"""Two last elements whose electronegativities differ by less are written as a group: Ca3(PO4)2."""
WHOLE = {
    "LiO": "Li2O2", "NaO": "Na2O2", "KO": "K2O2", "HO": "H2O2", "CsO": "Cs2O2", "RbO": "Rb2O2",
    "O": "O2", "N": "N2", "F": "F2", "Cl": "Cl2", "H": "H2",
}  # fmt: skip
"""Peroxides and diatomic molecules, which are not reduced further."""


def reduced_formula(numbers: Sequence[int]) -> str:
    """Return the reduced formula of a structure, elements by electronegativity.

    Args:
        numbers: atomic numbers of its atoms, in any order.
    """
    return _formula(tuple(sorted(Counter(map(int, numbers)).items())))


@lru_cache(maxsize=65_536)
def _formula(counts: tuple[tuple[int, int], ...]) -> str:
    ordered = sorted(counts, key=lambda pair: (_electronegativity(pair[0]), SYMBOLS[pair[0]]))
    text = _reduced(ordered)
    return WHOLE.get(text, text)


def _reduced(ordered: list[tuple[int, int]]) -> str:
    divisor = math.gcd(*(count for _, count in ordered))
    units = [(number, count // divisor) for number, count in ordered]
    if len(units) >= 3:
        (first, n_first), (last, n_last) = units[-2:]
        groups = math.gcd(n_first, n_last)
        if groups > 1 and _electronegativity(last) - _electronegativity(first) < ANION_STEP:
            anion = _written([(first, n_first // groups), (last, n_last // groups)])
            return f"{_written(units[:-2])}({anion}){groups}"
    return _written(units)


def _written(units: list[tuple[int, int]]) -> str:
    return "".join(f"{SYMBOLS[number]}{count if count > 1 else ''}" for number, count in units)


def _electronegativity(number: int) -> float:
    return ELECTRONEGATIVITY[number] if number < len(ELECTRONEGATIVITY) else math.inf
