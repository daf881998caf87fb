"""A small form that trains a new module into a hub, as a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import muted, row
from dashboards.components.run_panel import RunPanel
from dashboards.components.task_picker import TaskPicker
from dashboards.parts.hub_exchange import destination
from dashboards.parts.hub_state import HubState
from dashboards.services import all_tasks, get_jobs
from dashboards.session import Session
from moma_app.errors import InputError

if TYPE_CHECKING:
    from moma_app.jobs.spec import RunSpec

KINDS = {"Full: all weights": "full", "Adapter: small, in the frozen backbone": "adapter"}


class TrainForm(Viewer):
    """Task, kind, recipe and name of a module to train.

    Args:
        session: of the page.
        state: of the page; keeps the run in its address.
        on_module: is called when a module has been added.
    """

    def __init__(self, session: Session, state: HubState, on_module: Callable[[], None]) -> None:
        super().__init__()
        from moma_app.training.recipe import recipe_names

        self._session, self._state, self._on_module = session, state, on_module
        look: dict[str, Any] = {"size": "small", "margin": (6, 8)}
        names = recipe_names()
        self._task = TaskPicker(session, _usual_task(), label="Task with many labels")
        self._kind = pmui.Select(label="Kind", options=KINDS, value="full", width=260, **look)
        self._recipe = pmui.Select(
            label="Recipe",
            options=names,
            value="hub-cpu" if "hub-cpu" in names else names[0],
            width=170,
            **look,
        )
        self._epochs = pmui.IntInput(
            label="Epochs at most (0: the recipe's)", value=0, start=0, width=210, **look
        )
        self._name = pmui.TextInput(label="Name (empty: the task's)", value="", width=230, **look)
        self._replace = pmui.Checkbox(label="Replace a module of that name", value=False, margin=(6, 8))
        start = pmui.Button(
            label="Train module", icon="model_training", variant="contained", size="small", margin=(8, 8)
        )
        start.on_click(session.guard(lambda _: self._panel.start(self._spec)))
        self._panel = RunPanel(session, on_finished=self._finished, what="Training")
        self._panel.param.watch(session.guard(lambda event: self._keep(event.new)), "run_id")
        self._view = pn.Column(
            muted(
                "It is added to your own hub, or to the folder that this page shows. Closing the page does not stop it."
            ),
            self._task,
            row(self._kind, self._recipe, self._epochs, self._name),
            row(self._replace, start),
            self._panel,
            sizing_mode="stretch_width",
            margin=0,
        )
        if state.run:
            self._panel.show(state.run)

    def _keep(self, run_id: str) -> None:
        if run_id:
            self._state.run = run_id

    def _spec(self) -> RunSpec:
        """Define the run.

        Raises:
            MomaError: the task has no data here, or the name is taken.
        """
        from moma_app.hub.card import NAME_PATTERN, module_name
        from moma_app.tasks import get_task
        from moma_app.training.recipe import load_recipe
        from moma_app.work.train import train_spec

        if not self._task.value:
            raise InputError("Choose a task to train the module for.")
        task = get_task(self._task.value)
        kind = self._kind.value
        name = self._name.value.strip() or module_name(task.name, kind)
        if not NAME_PATTERN.fullmatch(name):
            raise InputError(
                f"{name!r} is no name of a module: use letters, digits, '_', '-' and '.', 100 at most."
            )
        hub = destination(self._state.hub)
        if name in hub and not self._replace.value:
            raise InputError(
                f"The hub {hub.folders[0]} already has a module {name!r}: give another name, or replace it."
            )
        return train_spec(
            task,
            load_recipe(self._recipe.value).with_fit(epochs=self._epochs.value or None),
            name=name,
            kind=kind,
            device=get_jobs().settings.device,
            hub=hub.folders[0],
            overwrite=self._replace.value,
        )

    def _finished(self, result: dict[str, Any]) -> None:
        where = result.get("published") or "its run; fetch it there"
        self._session.say(f"Module {result['module']} is trained, and kept in {where}.")
        self._on_module()

    def __panel__(self) -> Viewable:
        return self._view


def _usual_task() -> str:
    """Return a task that modules are trained on and whose data is here; empty if there is none."""
    return next((task.name for task in all_tasks() if task.available and task.spec.role == "upstream"), "")
