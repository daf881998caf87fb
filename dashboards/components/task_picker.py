"""Choosing a dataset: search by name, property or family; sizes and units in the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.services import all_tasks, n_rows
from dashboards.session import Session

if TYPE_CHECKING:
    from moma_app.tasks.task import Task


class TaskPicker(Viewer):
    """A searchable list of tasks.

    Args:
        session: of the page.
        value: name of the task that is chosen at first; empty for the first one whose data is here.
        accept: which tasks are offered.
        label: of the field.
    """

    value = param.String(doc="Name of the chosen task; empty if none.")

    def __init__(
        self,
        session: Session,
        value: str = "",
        *,
        accept: Callable[[Task], bool] = lambda _: True,
        label: str = "Dataset",
    ) -> None:
        super().__init__(value=value)
        self._session, self._accept = session, accept
        self._select = pmui.Select(
            label=label,
            options={value: value} if value else {},
            value=value or None,
            searchable=True,
            filter_on_search=True,
            sizing_mode="stretch_width",
            size="small",
            dropdown_height=420,
        )
        self._select.param.watch(lambda event: setattr(self, "value", event.new or ""), "value")
        self.param.watch(lambda event: self._follow(event.new), "value")
        session.background(lambda: offers(accept), self._offer)

    def renew(self, choose: str = "") -> None:
        """Read the list anew, and choose a task of it."""
        if choose:
            self.value = choose
        self._session.background(lambda: offers(self._accept), self._offer)

    def _offer(self, labels: dict[str, str]) -> None:
        chosen = self.value if self.value in labels.values() else next(iter(labels.values()), "")
        self._select.param.update(options=labels, value=chosen or None)
        self.value = chosen

    def _follow(self, name: str) -> None:
        """Show a task that a page has chosen."""
        if name and name not in self._select.values:
            self._select.options = {**self._select.options, name: name}
        self._select.value = name or None

    def __panel__(self) -> Viewable:
        return self._select


def offers(accept: Callable[[Task], bool]) -> dict[str, str]:
    """Return names of tasks by what the list shows.

    The user's own come first, then tasks that modules can help, then those that modules are trained on; what is
    not on this machine comes last, and who chooses it is told how to get it.
    """
    order = {"user": 0, "downstream": 1, "demo": 2}
    tasks = [task for task in all_tasks() if accept(task)]
    tasks.sort(key=lambda task: (not task.available, order.get(task.spec.role, len(order))))
    return {describe(task): task.name for task in tasks}


def describe(task: Task) -> str:
    """Return a task in one line: name, property with unit, family, rows."""
    unit = f" ({task.spec.unit})" if task.spec.unit and task.spec.kind == "regression" else ""
    rows = n_rows(task)
    size = f"{rows:,} rows" if rows is not None else "not on this machine"
    return f"{task.name}: {task.spec.property}{unit}, {task.spec.family}, {size}"


def composable(task: Task) -> bool:
    """Say whether AMC can weigh modules for a task: it needs numbers."""
    return task.spec.kind == "regression"
