"""Semantic versions (https://semver.org) of modules and hubs."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Literal, NamedTuple

from moma_app.errors import InputError

Part = Literal["major", "minor", "patch"]
PARTS: tuple[Part, ...] = ("patch", "minor", "major")
"""From the least change to the greatest."""
FIRST = "1.0.0"
_PATTERN = re.compile(
    r"(?P<major>0|[1-9][0-9]*)\.(?P<minor>0|[1-9][0-9]*)\.(?P<patch>0|[1-9][0-9]*)"
    r"(?:-(?P<pre>(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)


class _Numbers(NamedTuple):
    major: int
    minor: int
    patch: int
    pre: tuple[str, ...]


@total_ordering
class Version:
    """A semantic version: ``MAJOR.MINOR.PATCH``, with ``-rc.1`` or the like before a release.

    Versions are ordered by the rules of semver.org: 1.0.0-rc.1 < 1.0.0 < 1.0.1 < 1.1.0 < 1.10.0.

    Args:
        text: the version.

    Raises:
        InputError: it is no semantic version.
    """

    def __init__(self, text: str) -> None:
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise InputError(
                f"{text!r} is no semantic version: write MAJOR.MINOR.PATCH, such as 1.2.0 or 1.2.0-rc.1."
            )
        pre = tuple(found["pre"].split(".")) if found["pre"] else ()
        self._text = text
        self._numbers = _Numbers(int(found["major"]), int(found["minor"]), int(found["patch"]), pre)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Version({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Version) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor and patch number."""
        return self._numbers[:3]

    def _key(self) -> tuple[object, ...]:
        major, minor, patch, pre = self._numbers
        # Numbers come before words, a shorter list before a longer one, and any before the release itself.
        words = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in pre)
        return major, minor, patch, not pre, words

    def bumped(self, part: Part) -> Version:
        """Return the next version: 1.2.3 becomes 2.0.0, 1.3.0 or 1.2.4; 1.2.3-rc.1 becomes 1.2.3 by a patch."""
        major, minor, patch, pre = self._numbers
        if part == "major":
            return Version(f"{major + 1}.0.0")
        if part == "minor":
            return Version(f"{major}.{minor + 1}.0")
        return Version(f"{major}.{minor}.{patch if pre else patch + 1}")


def is_version(text: str) -> bool:
    """Say whether a text is a semantic version."""
    return _PATTERN.fullmatch(text) is not None
