"""What the Insights page shows, as its address says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import param

from dashboards.address import PageState
from dashboards.components.task_picker import composable
from dashboards.services import all_tasks, get_hub
from moma_app.errors import InputError

if TYPE_CHECKING:
    from moma_app.experiments.insights import Insights
    from moma_app.tasks.task import Task

VIEWS = {"Our weights": "weights", "Proxy errors": "proxy", "Published weights (JMP)": "published"}
ORDERS = {"Name": "name", "Alike together": "cluster", "Physical family": "family"}
KINDS = {"Full (all weights)": "full", "Adapter": "adapter"}
SPLITS = (0, 1, 2, 3, 4)
"""Seeds of the published splits."""
DEFAULT_ROLES = ("downstream", "user", "demo")
"""Roles of the tasks that the map shows where none is chosen: those that modules are to help."""


class InsightsState(PageState):
    """Which compositions, how they are shown, and the cell whose story is told."""

    view = param.Selector(default="weights", objects=list(VIEWS.values()))
    order = param.Selector(default="name", objects=list(ORDERS.values()))
    hub = param.String()
    kind = param.Selector(default="full", objects=list(KINDS.values()))
    backbone = param.String(doc="Backbone of the modules; empty for the one that most have.")
    tasks = param.List(default=[], item_type=str, doc="Rows of the map; all that are here if none is named.")
    splits = param.List(default=list(SPLITS), item_type=int)
    task = param.String(doc="Task of the cell whose story is told.")
    module = param.String(doc="Module of that cell.")


SELECTION = ("hub", "kind", "backbone", "tasks", "splits")
"""Parts of the state that decide which compositions the map is made of."""


@dataclass(frozen=True)
class Choices:
    """What the form offers for a hub and kind.

    Attributes:
        hub, kind: which.
        backbones: number of modules of each backbone, most first.
        tasks: of the tasks that can be rows, by name: in words.
        default: names of the tasks that are rows if none is chosen.
    """

    hub: str
    kind: str
    backbones: dict[str, int]
    tasks: dict[str, str]
    default: tuple[str, ...]

    def backbone(self, chosen: str) -> str:
        """Return the backbone that is meant: the chosen one, or the one that most modules have."""
        return chosen or next(iter(self.backbones), "")


def choices(hub: str, kind: str) -> Choices:
    """Look up what a hub and this machine's data offer.

    Raises:
        MomaError: there is no such hub.
    """
    from moma_app.work.modules import modules_of

    counts: dict[str, int] = {}
    for module in modules_of(get_hub(hub)).values():
        if module is not None and module.card.kind == kind:
            counts[module.card.backbone] = counts.get(module.card.backbone, 0) + 1
    present = [task for task in all_tasks() if composable(task) and task.available]
    rows = [task for task in present if task.spec.role in DEFAULT_ROLES]
    rest = [task for task in present if task.spec.role not in DEFAULT_ROLES]
    return Choices(
        hub=hub,
        kind=kind,
        backbones=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        tasks={task.name: _in_words(task) for task in (*rows, *rest)},
        default=tuple(task.name for task in rows),
    )


def plan_of(state: InsightsState, offered: Choices) -> Insights:
    """Return the plan of the compositions that the page shows.

    Raises:
        MomaError: it cannot be made; says why.
    """
    from moma_app.experiments.insights import Insights

    if not offered.backbones:
        raise InputError(
            f"This hub has no {offered.kind} module: choose another hub or kind, or add modules on the Hub page."
        )
    return Insights.make(
        tasks=tuple(state.tasks) or offered.default,
        splits=tuple(state.splits),
        hub=state.hub or None,
        kind=state.kind,
        backbone=offered.backbone(state.backbone),
    )


def _in_words(task: Task) -> str:
    return f"{task.name}: {task.spec.property}, {task.spec.family}"
