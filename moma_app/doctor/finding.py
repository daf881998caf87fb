"""What a check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["ok", "hint", "problem"]
"""In order of weight: a hint says what could be better, a problem stops work."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: what was looked at.
        state: how it is.
        value: what was found, in words.
        remedy: what to do, in a sentence; empty if nothing need be done.
    """

    name: str
    state: State
    value: str
    remedy: str = ""


def worst(findings: Iterable[Finding]) -> State:
    """Return the gravest state among the findings."""
    order: tuple[State, ...] = get_args(State)
    return max((finding.state for finding in findings), key=order.index, default="ok")
