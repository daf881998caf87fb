"""Colours of maps: from a value to its shade, and the text that can be read on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from moma_app.plots.theme import COLORS, Mode

STEPS = 64
"""Colours of a map; more cannot be told apart."""


def blend(stops: Sequence[str], steps: int = STEPS) -> list[str]:
    """Return colours that run through ``stops`` in equal steps."""
    parts = [_rgb(color) for color in stops]
    result = []
    for step in range(steps):
        index, share = divmod(step / (steps - 1) * (len(parts) - 1), 1)
        first, last = parts[int(index)], parts[min(int(index) + 1, len(parts) - 1)]
        mixed = (round(a + (b - a) * share) for a, b in zip(first, last, strict=True))
        result.append("#" + "".join(f"{value:02x}" for value in mixed))
    return result


@lru_cache
def shades(mode: Mode) -> tuple[str, ...]:
    """Return the colours of a map, least first; the last stands out most from the surface."""
    return tuple(blend(COLORS[mode].shades))


def shade(level: float, mode: Mode) -> str:
    """Return the colour of a value at ``level`` of its scale, where 0 is the least and 1 the most."""
    return shades(mode)[round(min(max(level, 0.0), 1.0) * (STEPS - 1))]


def readable_on(color: str) -> str:
    """Return black or white, whichever stands out more on a colour: its contrast is 4.5 or more on any."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, color))


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (Web Content Accessibility Guidelines 2.2)."""
    brighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in _rgb(color))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]
