"""Composer: choose a task, watch AMC weigh a hub's modules, change K, T and the set of modules at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from moma_app.errors import InputError, MomaError
from moma_app.hub.hub import Hub
from moma_app.markup import Markup, element, join
from moma_app.plots.bar_values import TOP
from moma_app.plots.text import count, number, with_unit
from moma_app.progress import Event, ModuleEncoded, RunChanged, Step, Warned, WeightsSolved
from moma_app.widgets.base import Widget
from moma_app.widgets.composer_form import ComposerForm
from moma_app.widgets.figure import FigureBox
from moma_app.widgets.look import Look, html

if TYPE_CHECKING:
    from moma_app.amc.compose import Composition
    from moma_app.amc.result import AMCResult
    from moma_app.plots.live import Encoded, Live
    from moma_app.tasks.task import Task


class _Stopped(Exception):  # noqa: N818 - no error: the way out of a composition that nobody waits for
    pass


@dataclass(frozen=True, eq=False)
class _Asked:
    """A composition that somebody waits for, until ``given_up`` is set."""

    task: str
    kind: Literal["full", "adapter"]
    k: int
    temperature: float
    modules: list[str]
    given_up: threading.Event = field(default_factory=threading.Event)


class Composer(Widget):
    """Weights and proxy errors of a hub's modules for a task, live.

    Modules are encoded in the background, once; then K, T and the set of modules change the weights in
    milliseconds, from the neighbours that were found.

    Args:
        task: a task, its name, or a composition that there is; without one the user chooses.
        hub: a hub, its name or folder; ``None`` for the user's and the built-in one.
        split: seed of the task's split.
        shots: use so many train rows only.
        seed: draws those rows.
        k, temperature: of Eq. 1, at first.
        kind: of the modules, at first.
        look: whether the figures are for light or dark themes.

    Raises:
        UnknownNameError: there is no such task.
        InputError: there is no such hub, or it is empty.
    """

    def __init__(
        self,
        task: str | Task | Composition | None = None,
        hub: str | Path | Hub | None = None,
        *,
        split: int = 0,
        shots: int | None = None,
        seed: int = 0,
        k: int = 5,
        temperature: float = 0.2,
        kind: Literal["full", "adapter"] = "full",
        look: Look = "auto",
    ) -> None:
        super().__init__(look=look)
        self._hub = hub if isinstance(hub, Hub) else Hub.open(hub)
        self._split, self._shots, self._seed = split, shots, seed
        self._whole: Composition | None = None
        self._now: Composition | None = None
        self._asked: _Asked | None = None
        self._live: Live[Encoded] | None = None
        self._listeners: list[Callable[[AMCResult], None]] = []
        self._warnings: list[str] = []
        given = _composed(task)
        self.form = ComposerForm(self._hub, "" if task is None else _name_of(task), kind, k, temperature)
        self._figure = FigureBox(
            look, height=200, waiting="Choose a task: its modules appear here one by one."
        )
        self._about = html()
        self._fill(self.form.view, self._line, self._figure, self._about)
        self.form.task.observe(self._guarded(lambda _: self.compose()), "value")
        self.form.kind.observe(self._guarded(lambda _: self.compose()), "value")
        self.form.k.observe(self._guarded(lambda _: self._reweigh()), "value")
        self.form.temperature.observe(self._guarded(lambda _: self._reweigh()), "value")
        self.form.on_switch(self._guarded(self._switched))
        self.form.button.on_click(self._guarded(lambda _: self.stop() if self.busy else self.compose()))
        if given is not None:
            self._take(given)
        elif task is not None:
            self.compose()
        else:
            self._say("Choose a task.")

    # -- what it gives ---------------------------------------------------------------------------

    @property
    def composition(self) -> Composition:
        """What a fine-tuning starts from: ``Start.composed(composer.composition)``; waits for one that is under way.

        Raises:
            MomaError: there is none; says why.
        """
        self.wait()
        if self._now is None:
            if isinstance(self.error, MomaError):
                raise self.error
            raise InputError("Nothing has been composed yet: choose a task in the Composer.")
        return self._now

    @property
    def result(self) -> AMCResult:
        """Weights and proxy errors for the K, T and modules that are set; waits and raises as ``composition``."""
        return self.composition.result

    def on_result(self, act: Callable[[AMCResult], None]) -> None:
        """Call a function with the result after each change."""
        self._listeners.append(act)

    # -- composing -------------------------------------------------------------------------------

    def compose(self) -> None:
        """Encode the modules for the chosen task, in the background; one that is under way is given up."""
        self.stop()
        task, kind = self.form.task.value, self.form.kind.value
        if not task:
            return
        self._whole = self._now = None
        self._warnings = []
        self._about.value = ""
        modules = [module.name for module in self._hub.select(kind=kind)]
        self.form.offer(modules)
        self.form.working(on=True)
        self._say(f"{task}: the modules are loaded")
        asked = self._asked = _Asked(task, kind, self.form.k.value, self.form.temperature.value, modules)
        self._begin(lambda: self._compose(asked), "moma-composer")

    def stop(self) -> None:
        """Give up a composition that is under way."""
        if self._asked is not None:
            self._asked.given_up.set()
        if self.busy:
            self.form.working(on=False)
            self._say("Stopped.")

    def _compose(self, asked: _Asked) -> None:
        errors: dict[str, float] = {}

        def heard(event: Event) -> None:
            if asked.given_up.is_set():
                raise _Stopped
            self._heard(event, errors)

        try:
            found = self._found(asked, heard)
            if not asked.given_up.is_set():
                self._take(found)
        except _Stopped:
            return
        except Exception:
            if not asked.given_up.is_set():
                raise
        finally:
            if not asked.given_up.is_set():
                self.form.working(on=False)

    def _found(self, asked: _Asked, heard: Callable[[Event], None]) -> Composition:
        from moma_app.amc.compose import compose
        from moma_app.config import get_settings
        from moma_app.tasks import get_task

        task = get_task(asked.task)
        self._draw(asked.modules, task.spec.unit)
        return compose(
            task,
            self._hub,
            self._split,
            shots=self._shots,
            seed=self._seed,
            k=asked.k,
            temperature=asked.temperature,
            kind=asked.kind,
            graph_folder=get_settings().graph_folder,
            progress=heard,
        )

    def _heard(self, event: Event, errors: dict[str, float]) -> None:
        if isinstance(event, Warned):
            self._warnings.append(event.message)
        if isinstance(event, ModuleEncoded):
            errors[event.module] = event.proxy_mae
            self._feed(errors, None)
        if isinstance(event, WeightsSolved | RunChanged):
            return
        fraction = event.done / event.total if isinstance(event, Step) and event.total else event.fraction
        self.form.progress(fraction)
        self._say(event.describe())

    # -- what is shown ---------------------------------------------------------------------------

    def _draw(self, modules: list[str], unit: str) -> None:
        from moma_app.plots.live import live_bars

        predicts = {
            card.name: with_unit(card.target.property, card.target.unit) for card in self._hub.cards()
        }
        with self._figure.lock:
            self._live = live_bars(modules, unit=unit, predicts=predicts, top=TOP, mode=self._figure.mode)
            self._figure.show(self._live.figure)

    def _feed(self, errors: dict[str, float], weights: dict[str, float] | None) -> None:
        from moma_app.plots.live import Encoded

        with self._figure.changing():
            if self._live is not None:
                self._live.send(Encoded(dict(errors), weights))

    def _take(self, found: Composition) -> None:
        """Show a composition, with the settings that are set by now."""
        names = [score.module for score in found.result.modules]
        self._whole = found
        self._draw(names, found.result.unit)
        self.form.offer(names)
        self.form.limit(found.neighbours.k_max)
        self._reweigh()

    def _switched(self, name: str) -> None:
        if not self.form.chosen:
            self.form.switches[name].value = True
            raise InputError(
                "At least one module is needed: another one must be on before this one goes off."
            )
        self._reweigh()

    def _reweigh(self) -> None:
        """Weigh with the K, T and modules that are set, from the neighbours that were found."""
        if self._whole is None:
            return
        begun = time.perf_counter()
        k, temperature, chosen = self.form.k.value, self.form.temperature.value, self.form.chosen
        now = self._whole.reweighed(k=k, temperature=temperature, modules=chosen)
        whole = now
        if len(chosen) < len(self._whole.modules):  # modules that are off keep their places and errors
            whole = self._whole.reweighed(k=k, temperature=temperature)
        seconds = time.perf_counter() - begun
        self._now = now
        weights = now.result.weights
        self._feed({score.module: score.proxy_mae for score in whole.result.modules}, weights)
        self._say(
            f"K = {k}, T = {temperature:.3g}: {count(sum(w > 0 for w in weights.values()), 'module')} of "
            f"{len(chosen)} with weight, found from the stored neighbours in {1000 * seconds:.0f} ms."
        )
        self._about.value = str(self._summary(now.result))
        for act in self._listeners:
            act(now.result)

    def _summary(self, result: AMCResult) -> Markup:
        unit = f" {result.unit}" if result.unit else ""
        best = result.best_single
        alone = best.proxy_mse_standardised
        told = [
            element(
                "p",
                element("b", result.task),
                f": {result.property}, {len(result.train_ids):,} training structures, split {result.split}. "
                f"Mean squared error of the weighted estimates {number(result.objective)} σ²; of the best module alone "
                f"({best.module}, MAE {number(best.proxy_mae)}{unit}) {number(alone)} σ².",
            )
        ]
        told += [element("p", warning, class_="moma-muted") for warning in self._warnings]
        return join(told)

    def _still(self) -> Markup:
        from moma_app.plots.still import still_weights

        if self._now is None:
            doing = "composing" if self.busy else "nothing composed yet"
            return element("p", f"Composer for {self.form.task.value or 'a task to be chosen'}: {doing}.")
        result = self._now.result
        title = element("p", element("b", f"Composer: K = {result.k}, T = {result.temperature:.3g}"))
        return join([title, self._summary(result), still_weights(result)])

    def _words(self) -> str:
        chosen = f"task={self.form.task.value!r}, k={self.form.k.value}, temperature={self.form.temperature.value:.3g}"
        return chosen + (f", {len(self.form.chosen)} modules" if self._now is not None else "")

    def _end(self) -> None:
        self.stop()


def _name_of(task: str | Task | Composition) -> str:
    if isinstance(task, str):
        from moma_app.tasks import get_task

        return get_task(task).name
    from moma_app.amc.compose import Composition

    return task.result.task if isinstance(task, Composition) else task.name


def _composed(task: str | Task | Composition | None) -> Composition | None:
    from moma_app.amc.compose import Composition

    return task if isinstance(task, Composition) else None
