"""Physical families of tasks: which modules ought to help which tasks, for figures and tables."""

from __future__ import annotations

from typing import get_args

from moma_app.errors import MomaError
from moma_app.tasks.specs import Family
from moma_app.tasks.task import get_task

FAMILIES: tuple[Family, ...] = get_args(Family)
"""All families, in the order in which they are shown."""


def family_of(name: str) -> Family:
    """Return the family of a task: of the catalogue, or as the user's file says; else ``other``.

    A module's family is that of the task it was trained on, which need not be on this machine.
    """
    try:
        return get_task(name).spec.family
    except MomaError:
        return "other"
