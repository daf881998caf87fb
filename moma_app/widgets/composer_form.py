"""The controls of the Composer: task, kind, K, T, a switch for each module, progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from moma_app.errors import InputError
from moma_app.hub.hub import Hub
from moma_app.plots.text import shorten, with_unit
from moma_app.widgets.look import html, row
from moma_app.widgets.toolkit import ipywidgets

LARGEST_K = 32
KINDS = {"Full modules": "full", "Adapters": "adapter"}
_LABEL = {"description_width": "initial"}


class ComposerForm:
    """What the user sets.

    Args:
        hub: whose kinds of modules are offered.
        task: name of the task that is chosen at first; empty for none.
        kind: of the modules.
        k, temperature: of Eq. 1.

    Attributes:
        task, kind, k, temperature, button: widgets.
        switches: one toggle for each module, by name.
        view: all of them.
    """

    def __init__(
        self, hub: Hub, task: str, kind: Literal["full", "adapter"], k: int, temperature: float
    ) -> None:
        kinds = {card.kind for card in hub.cards()}
        if not kinds:
            raise InputError(f"The hub {hub.folders[0]} has no module: train or pull some first.")
        layout = ipywidgets.Layout
        self.task = ipywidgets.Dropdown(
            options=_tasks(task),
            value=task,
            description="Task",
            style=_LABEL,
            layout=layout(flex="1 1 320px", width="auto", min_width="200px"),
        )
        self.kind = ipywidgets.Dropdown(
            options=[(words, name) for words, name in KINDS.items() if name in kinds or name == kind],
            value=kind,
            layout=layout(width="150px"),
        )
        self.button = ipywidgets.Button(description="Compose", layout=layout(width="96px"))
        self.k = ipywidgets.IntSlider(
            value=k,
            min=1,
            max=max(LARGEST_K, k),
            description="Neighbours K",
            style=_LABEL,
            layout=layout(flex="1 1 260px", min_width="220px"),
        )
        self.temperature = ipywidgets.FloatLogSlider(
            value=temperature,
            min=-2.0,
            max=1.0,
            step=0.02,
            description="Temperature T",
            readout_format=".3g",
            style=_LABEL,
            layout=layout(flex="1 1 260px", min_width="220px"),
        )
        self.switches: dict[str, Any] = {}
        self._switched: Callable[[str], None] = lambda _: None
        self._quiet = False
        self._bar = ipywidgets.FloatProgress(
            min=0.0, max=1.0, layout=layout(width="100%", height="8px", visibility="hidden")
        )
        self._modules = ipywidgets.Box(layout=layout(flex_flow="row wrap"))
        self._modules.add_class("moma-switches")
        self.view = ipywidgets.VBox(
            [
                row(self.task, self.kind, self.button),
                row(self.k, self.temperature),
                self._modules,
                self._bar,
            ]
        )

    @property
    def chosen(self) -> list[str]:
        """Names of the modules that are on."""
        return [name for name, switch in self.switches.items() if switch.value]

    def on_switch(self, act: Callable[[str], None]) -> None:
        """Call a function with the name of a module that was switched."""
        self._switched = act

    def offer(self, names: Sequence[str]) -> None:
        """Offer other modules; those that were off stay off."""
        if list(self.switches) == list(names):
            return
        off = {name for name, switch in self.switches.items() if not switch.value}
        if off >= set(names):
            off = set()
        before = list(self.switches.values())
        self.switches = {name: self._switch(name, on=name not in off) for name in names}
        label = html("Modules", "moma-muted", width="auto")
        self._modules.children = (label, *self.switches.values())
        for switch in before:
            switch.close()

    def limit(self, k: int) -> None:
        """Bound K by the neighbours that are kept."""
        self.k.max = max(1, k)

    def working(self, *, on: bool) -> None:
        """Show whether modules are being encoded."""
        self._bar.value = 0.0
        self._bar.layout.visibility = "visible" if on else "hidden"
        self.button.description = "Stop" if on else "Compose"

    def progress(self, fraction: float | None) -> None:
        """Show how far the work is, if that is known."""
        if fraction is not None:
            self._bar.value = min(max(fraction, 0.0), 1.0)

    def _switch(self, name: str, *, on: bool) -> Any:
        switch = ipywidgets.ToggleButton(
            value=on, description=shorten(name, 32), tooltip=f"Switch {name} on or off"
        )
        switch.observe(lambda _: self._switched(name), "value")
        return switch


def _tasks(chosen: str) -> list[tuple[str, str]]:
    """Return what the list of tasks offers, with its name: tasks with numbers whose data is here."""
    from moma_app.tasks import list_tasks

    order = {"user": 0, "downstream": 1, "demo": 2}
    tasks = [task for task in list_tasks() if task.spec.kind == "regression" and task.available]
    tasks.sort(key=lambda task: order.get(task.spec.role, len(order)))
    offered = [(f"{task.name}: {with_unit(task.spec.property, task.spec.unit)}", task.name) for task in tasks]
    if chosen not in [name for _, name in offered]:
        offered.insert(0, (chosen or "Choose a task …", chosen))
    return offered
