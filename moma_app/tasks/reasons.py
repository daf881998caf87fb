"""The kinds of reason for which a row of a user's file is refused."""

from typing import Literal

Reason = Literal[
    "unparsable",
    "disordered",
    "unknown element",
    "atoms too close",
    "isolated atom",
    "no volume",
    "target missing",
    "target not a number",
    "target not finite",
    "transform undefined",
    "duplicate id",
    "split part unknown",
]
"""Every reason for which a row is refused."""
