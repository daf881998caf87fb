"""How the atoms of a crystal become one embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moma_app.backbones.base import Pooling
    from moma_app.training.settings import HeadPooling


def pooling_of(*, extensive: bool, head: HeadPooling = "mean") -> Pooling:
    """Return how atoms are pooled.

    Args:
        extensive: the property grows with the cell, so that its mean is a sum.
        head: what the head asks for.
    """
    return "sum" if extensive and head == "mean" else head
