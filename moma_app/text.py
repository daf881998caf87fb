"""Text and numbers as people read them: in figures, reports, tables and what a notebook shows of an object."""

from __future__ import annotations

import math
from collections.abc import Sequence

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LONGEST = 150
"""Characters of what an object says of itself in one line."""


def one_line(text: str, most: int = 200) -> str:
    """Return text as one line of printable characters: control characters and line breaks become spaces."""
    return shorten(" ".join("".join(c if c.isprintable() else " " for c in text).split()), most)


def brief(what: object, text: str) -> str:
    """Return the ``__repr__`` of an object that holds much: ``<Hub builtin: 4 modules>``.

    Args:
        what: the object; its class is named.
        text: what tells it from others.
    """
    return f"<{type(what).__name__} {one_line(text, LONGEST)}>"


def shorten(text: str, most: int) -> str:
    """Cut the middle out of a text of more than ``most`` characters; names differ at their ends."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def whole(value: int | None) -> str:
    """Write a whole number, or a dash where it is not known: 1,234."""
    return "–" if value is None else f"{value:,}"


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with ``digits`` significant digits, as in print: −0.0121, 3.20×10⁻⁷."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    mantissa, exponent = f"{abs(value):.{digits - 1}e}".split("e")
    sign, power = "−" if value < 0 else "", int(exponent)
    if -4 < power < 6:
        return f"{sign}{abs(value):.{max(0, digits - 1 - power)}f}"
    return f"{sign}{mantissa}×10{str(power).translate(_SUPERSCRIPTS)}"


def column(values: Sequence[float | None], digits: int = 3) -> list[str]:
    """Write the numbers of a column with the same decimals, ``digits`` significant ones for the smallest.

    Numbers too far apart for that are written each by itself.
    """
    sizes = [abs(value) for value in values if value is not None and math.isfinite(value) and value != 0]
    if not sizes or min(sizes) < 1e-4 or max(sizes) >= 1e5 or max(sizes) / min(sizes) > 1e3:
        return [number(value, digits) for value in values]
    places = max(0, digits - 1 - math.floor(math.log10(min(sizes))))
    return [
        "–" if value is None or not math.isfinite(value) else f"{value:.{places}f}".replace("-", "−")
        for value in values
    ]


def weight_text(weight: float) -> str:
    """Write a composition weight: three decimals, 0 for exactly 0."""
    if weight == 0:
        return "0"
    return "<0.001" if weight < 0.0005 else f"{weight:.3f}"


def signed_percent(value: float) -> str:
    """Write a relative difference with its sign: −16.6 %."""
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return f"{sign}{abs(value):.1f} %"


def with_unit(name: str, unit: str) -> str:
    """Return ``name (unit)``, ``name [unit]`` for a unit with parentheses, or the name alone."""
    if not unit:
        return name
    return f"{name} [{unit}]" if "(" in unit else f"{name} ({unit})"


def with_unit_after(value: float, unit: str) -> str:
    """Write a value with its unit: 0.0121 eV/atom."""
    return f"{number(value)} {unit}".rstrip()


def seconds_text(seconds: float) -> str:
    """Write a duration: 3.4 s, 2 min 5 s, 1 h 12 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(n: int, noun: str) -> str:
    """Write a count with its noun in the right number: 1 module, 1,204 modules."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
