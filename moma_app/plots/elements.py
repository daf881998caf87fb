"""Where the elements stand in the periodic table (IUPAC, 18 columns; f-block below)."""

from __future__ import annotations

_ROWS = (
    "H                                                  He",
    "Li Be                               B  C  N  O  F  Ne",
    "Na Mg                               Al Si P  S  Cl Ar",
    "K  Ca Sc Ti V  Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
    "Rb Sr Y  Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I  Xe",
    "Cs Ba *  Hf Ta W  Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
    "Fr Ra *  Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
    "",
    "      La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu",
    "      Ac Th Pa U  Np Pu Am Cm Bk Cf Es Fm Md No Lr",
)
COLUMNS, ROWS = 18, len(_ROWS)


def _places() -> dict[str, tuple[int, int]]:
    found = {}
    for row, line in enumerate(_ROWS):
        for column in range(COLUMNS):
            symbol = line[3 * column : 3 * column + 2].strip()
            if symbol and symbol != "*":
                found[symbol] = (row, column)
    return found


PLACES = _places()
"""(row, column) of each of the 118 elements by symbol, both from 0."""
