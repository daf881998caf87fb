"""How the atoms of a crystal become one embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moma_app.backbones.base import Pooling
    from moma_app.tasks import TaskData


def pooling_of(data: TaskData) -> Pooling:
    """Return how atoms are pooled: a property that grows with the cell is a sum."""
    return "sum" if data.spec.extensive else "mean"
