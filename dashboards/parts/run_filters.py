"""Widgets that narrow the list of runs; their values are in the page's address."""

from __future__ import annotations

from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import row
from dashboards.parts.run_state import STATE_CHOICES, RunsState
from dashboards.parts.run_words import kind_of
from dashboards.services import all_tasks
from dashboards.session import Session


class RunFilters(Viewer):
    """Text, state, kind of work and task; a change shows the first page."""

    def __init__(self, session: Session, state: RunsState) -> None:
        super().__init__()
        from moma_app.jobs.registry import unit_names

        units = sorted({*unit_names(), *([state.unit] if state.unit else [])})
        tasks = sorted({*(task.name for task in all_tasks()), *([state.task] if state.task else [])})
        look: dict[str, Any] = {"size": "small", "margin": (6, 8)}
        text = pmui.TextInput(
            label="Search", placeholder="Part of the name, or a run's id", value=state.text, width=250, **look
        )
        states = pmui.Select(label="State", options=STATE_CHOICES, value=state.state, width=210, **look)
        unit = pmui.Select(
            label="Kind",
            options={"All kinds": "", **{kind_of(name).capitalize(): name for name in units}},
            value=state.unit,
            width=170,
            **look,
        )
        task = pmui.Select(
            label="Task",
            options={"All tasks": "", **{name: name for name in tasks}},
            value=state.task,
            searchable=True,
            filter_on_search=True,
            dropdown_height=420,
            width=230,
            **look,
        )
        for widget, name in ((text, "text"), (states, "state"), (unit, "unit"), (task, "task")):
            self._bind(session, state, widget, name)
        self._view = row(text, states, unit, task)

    @staticmethod
    def _bind(session: Session, state: RunsState, widget: Any, name: str) -> None:
        def take(event: Any) -> None:
            state.param.update(**{name: event.new or "", "sheet": 1})

        widget.param.watch(session.guard(take), "value")

    def __panel__(self) -> Viewable:
        return self._view
