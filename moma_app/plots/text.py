"""Text as figures show it; numbers are written as everywhere, see :mod:`moma_app.text`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from moma_app.text import (
    column,
    count,
    number,
    one_line,
    seconds_text,
    shorten,
    signed_percent,
    weight_text,
    whole,
    with_unit,
    with_unit_after,
)

__all__ = [
    "column",
    "count",
    "distinct",
    "number",
    "plain",
    "seconds_text",
    "shorten",
    "signed_percent",
    "weight_text",
    "whole",
    "with_unit",
    "with_unit_after",
]

_TEX = re.compile(r"\$\$|\\(?=[\[\]()])")
_ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"


def plain(text: str, most: int = 200) -> str:
    """Return a user's text as one line that Bokeh takes literally.

    Control characters and line breaks become spaces, and the marks by which Bokeh would know
    TeX, for which it loads a renderer from the internet, are pulled apart.
    """
    line = one_line(text, len(text))
    line = _TEX.sub(lambda match: _ZERO_WIDTH_SPACE.join(match.group()) + _ZERO_WIDTH_SPACE, line)
    return shorten(line, most)


def distinct(labels: Iterable[str]) -> list[str]:
    """Return labels of which no two are equal, by numbering those that are."""
    seen: set[str] = set()
    result = []
    for label in labels:
        name, number = label, 1
        while name in seen:
            number += 1
            name = f"{label} ({number})"
        seen.add(name)
        result.append(name)
    return result
