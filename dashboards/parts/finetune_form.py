"""What is fine-tuned: the state in the page's address, and the form that changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.address import PageState
from dashboards.components.line import Line
from dashboards.components.task_picker import TaskPicker, composable
from dashboards.parts.recipe_fields import known_recipe, with_changes
from dashboards.parts.recipe_form import RecipeForm
from dashboards.services import get_hub, hub_choices
from dashboards.session import Session
from moma_app.choices import Device
from moma_app.errors import InputError

if TYPE_CHECKING:
    from moma_app.jobs.spec import RunSpec

STARTS = {
    "Composed module (AMC)": "composed",
    "One module of the hub": "module",
    "Bare backbone": "backbone",
    "From scratch": "scratch",
}
KINDS = {"Full (all weights)": "full", "Adapter": "adapter"}
DEVICES = list(get_args(Device))
SPLITS = 5
"""Splits that are offered: those of the papers."""


class FinetuneState(PageState):
    """Dataset and rows, start, recipe; the run that is shown."""

    task = param.String()
    split = param.Integer(default=0, bounds=(0, None))
    shots = param.Integer(default=0, bounds=(0, None), doc="Training structures; 0 takes all.")
    start = param.Selector(default="composed", objects=list(STARTS.values()))
    module = param.String(doc="Module to start from, if it is a single one.")
    hub = param.String()
    kind = param.Selector(default="full", objects=list(KINDS.values()))
    recipe = param.String(default="finetune")
    changes = param.List(default=[], item_type=str, doc="Settings that differ from the recipe.")
    device = param.Selector(default="auto", objects=DEVICES)
    run = param.String(doc="Run that is shown.")

    def spec(self) -> RunSpec:
        """Define the run that the form describes; reads the rows of the task.

        Raises:
            MomaError: it cannot be run; says why.
        """
        from moma_app.tasks import get_task
        from moma_app.tasks.splits import few_shot
        from moma_app.work.composing import AMC
        from moma_app.work.finetune import finetune_spec

        if self.start == "module" and not self.module:
            raise InputError("Choose the module to start from.")
        task = get_task(self.task)
        if self.start == "composed" and not composable(task):
            raise InputError(
                f"{task.name} is a classification, and AMC needs numbers: start from one module or the bare backbone."
            )
        recipe = with_changes(known_recipe(self.recipe), self.changes)
        rows = task.split(self.split)
        if self.shots:
            few_shot(rows, self.shots, recipe.fit.seed)  # says so if there are not so many
        return finetune_spec(
            task,
            recipe,
            start=self.module if self.start == "module" else self.start,
            split=self.split,
            shots=self.shots or None,
            amc=AMC(self.hub or None, kind=self.kind),
            device=self.device,
        )

    def take(self, arguments: Mapping[str, Any]) -> None:
        """Take what a run was asked to do, but for its recipe."""
        start = str(arguments["start"])
        single = start not in STARTS.values()
        amc = arguments["amc"] or {}
        self.param.update(
            task=arguments["task"],
            split=arguments["split"],
            shots=arguments["shots"] or 0,
            start="module" if single else start,
            module=start if single else "",
            hub=amc.get("hub") or "",
            kind=amc.get("kind", "full"),
            device=arguments["device"] if arguments["device"] in DEVICES else "auto",
        )


class FinetuneForm(Viewer):
    """Widgets of the state. They follow it, and it follows them."""

    def __init__(self, session: Session, state: FinetuneState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self.tasks = TaskPicker(session, state.task)
        self._split = pmui.Select(
            label="Split (seed)",
            description="Which rows are for training, validation and test (70:15:15); the published ones where there are any.",
            **_LOOK,
        )
        self._shots = pmui.IntInput(
            label="Shots N (0: all)",
            description="Few-shot: so many structures drawn from the training rows; validation and test stay whole.",
            start=0,
            step=10,
            **_LOOK,
        )
        self._start = pmui.Select(label="Start from", options=STARTS, **_LOOK)
        self._module = pmui.Select(
            label="Module", searchable=True, filter_on_search=True, dropdown_height=420, options=[], **_LOOK
        )
        self._hub = pmui.Select(label="Hub", **_LOOK)
        self._kind = pmui.Select(label="Module kind", options=KINDS, **_LOOK)
        self._device = pmui.Select(
            label="Device",
            description="auto takes a GPU if the worker has one.",
            options=DEVICES,
            **_LOOK,
        )
        self._note = Line(quiet=True, margin=(0, 10))
        self.recipe = RecipeForm(session, state.recipe, state.changes)
        self._bind()
        self._take_recipe()
        self._show()
        self._look()
        self._view = pn.Column(
            self.tasks,
            pn.Row(self._split, self._shots, **_LINE),
            self._start,
            self._module,
            pn.Row(self._hub, self._kind, **_LINE),
            self._note,
            self.recipe,
            self._device,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _bind(self) -> None:
        session, state = self._session, self._state
        widgets = {
            "split": self._split,
            "shots": self._shots,
            "start": self._start,
            "module": self._module,
            "hub": self._hub,
            "kind": self._kind,
            "device": self._device,
        }
        for name, widget in widgets.items():

            def take(event: param.parameterized.Event, name: str = name) -> None:
                if event.new is not None:
                    state.param.update(**{name: event.new})

            widget.param.watch(session.guard(take), "value")
        self.tasks.param.watch(lambda event: state.param.update(task=event.new), "value")
        self.recipe.param.watch(lambda *_: self._take_recipe(), ["recipe", "changes"])
        state.param.watch(session.guard(lambda *_: self._show()), [*widgets, "task"])
        state.param.watch(session.guard(lambda *_: self._look()), ["start", "hub", "kind", "module"])

    def _take_recipe(self) -> None:
        self._state.param.update(recipe=self.recipe.recipe, changes=self.recipe.changes)

    def _show(self) -> None:
        """Show the state."""
        state = self._state
        self.tasks.value = state.task or self.tasks.value
        splits = {
            f"{number}": number
            for number in (*range(SPLITS), *([state.split] if state.split >= SPLITS else []))
        }
        self._split.param.update(options=splits, value=state.split)
        self._shots.value = state.shots
        self._start.value = state.start
        hubs = hub_choices()
        if state.hub not in hubs.values():
            hubs[state.hub] = state.hub
        self._hub.param.update(options=hubs, value=state.hub)
        self._kind.value = state.kind
        self._device.value = state.device
        uses_hub = state.start in ("composed", "module")
        self._module.visible = state.start == "module"
        self._hub.visible = self._kind.visible = uses_hub
        self._note.visible = uses_hub

    def _look(self) -> None:
        """Look up the modules of the hub, if the start needs it."""
        hub, kind = self._state.hub, self._state.kind
        if self._state.start not in ("composed", "module"):
            return
        self._session.background(
            lambda: modules_in(hub, kind),
            lambda found: self._offer((hub, kind), found),
            failed=self._no_hub,
        )

    def _offer(self, of: tuple[str, str], modules: dict[str, str]) -> None:
        """Offer the modules of a hub and kind, if these are still the chosen ones."""
        state = self._state
        if of != (state.hub, state.kind):
            return
        names = list(modules.values())
        chosen = state.module if state.module in names else ""
        if state.start == "module":
            self._module.param.update(options=modules, value=chosen or next(iter(names), None))
        what = f"{len(names):,} {state.kind} module{'' if len(names) == 1 else 's'}"
        if not names:
            self._note.say(
                f"This hub has no {state.kind} module: choose another hub or kind, or add modules on the Hub page."
            )
        elif state.start == "composed":
            self._note.say(
                f"AMC weighs the {what} of this hub on the training structures, and merges them into one."
            )
        else:
            self._note.say(f"The hub has {what}.")

    def _no_hub(self, text: str) -> None:
        self._module.options = []
        self._note.say(text)

    def __panel__(self) -> Viewable:
        return self._view


def modules_in(hub: str, kind: str) -> dict[str, str]:
    """Return the names of a hub's modules of a kind, by what the list shows."""
    from moma_app.work.modules import modules_of

    cards = [module.card for module in modules_of(get_hub(hub)).values() if module is not None]
    return {
        f"{card.name}: {card.target.property}"
        + (f" ({card.target.unit})" if card.target.unit else ""): card.name
        for card in cards
        if card.kind == kind
    }


_LOOK: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width"}
_LINE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}
