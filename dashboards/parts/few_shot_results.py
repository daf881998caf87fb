"""What a few-shot experiment found: error against the number of training structures, a dataset at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.components.figure import Figure
from dashboards.components.layout import row
from dashboards.parts.experiment_results import ResultsPart
from dashboards.parts.experiment_state import FewShotState
from dashboards.parts.experiment_words import mean_text, method_label, percent_text
from dashboards.session import Session
from moma_app.plots.shots import ShotErrors
from moma_app.plots.text import with_unit

if TYPE_CHECKING:
    from moma_app.experiments.few_shot import FewShot
    from moma_app.experiments.plan import Row
    from moma_app.experiments.results import CellResult
    from moma_app.experiments.statistics import Spread

HEIGHT = 400
AMC, BARE = "amc", "bare"
AGAINST = "AMC against bare backbone"
WHISKERS = {"Standard deviation": "std", "Lowest to highest": "range"}


@dataclass(frozen=True)
class FewShotView:
    """What is shown.

    Attributes:
        errors: single test errors by task.
        units: by task.
        columns, lines: of the table.
    """

    errors: dict[str, list[ShotErrors]]
    units: dict[str, str]
    columns: list[str]
    lines: list[dict[str, str]]


class FewShotResults(ResultsPart[FewShotView]):
    """The results of a few-shot experiment.

    Args:
        session: of the page.
        state: of the page; its dataset and whiskers follow the fields above the figure.
    """

    name = "few-shot"

    def __init__(self, session: Session, state: FewShotState) -> None:
        super().__init__(session, height=HEIGHT)
        self._state = state
        self._view: FewShotView | None = None
        self._filling = False
        look = {"size": "small", "width": 280}
        self._task = pmui.Select(
            label="Shown dataset", options=[], searchable=True, filter_on_search=True, **look
        )
        self._whiskers = pmui.Select(label="Whiskers", options=WHISKERS, value=state.spread, **look)
        self._choices = row(self._task, self._whiskers, visible=False)
        self._task.param.watch(session.guard(lambda event: self._choose(event.new)), "value")
        self._whiskers.param.watch(session.guard(lambda event: state.param.update(spread=event.new)), "value")
        state.param.watch(session.guard(lambda *_: self._draw()), ["task", "spread"])

    @property
    def figure(self) -> Sequence[Viewable | Figure]:
        """What stands beside the form."""
        return [self._choices, self._figure]

    def clear(self) -> None:
        """Show that nothing has finished."""
        super().clear()
        self._view = None
        self._choices.visible = False

    def prepare(self, plan: FewShot, rows: Sequence[Row], results: Sequence[CellResult]) -> FewShotView:
        """Return what is to be shown."""
        return FewShotView(
            {
                task: shot_errors(task, results)
                for task in plan.tasks
                if any(each["task"] == task for each in rows)
            },
            {each["task"]: each["unit"] for each in rows},
            columns_of(plan.methods),
            lines_of(plan.methods, rows, results),
        )

    def present(self, view: FewShotView) -> None:
        """Show it in the page."""
        self._view = view
        tasks = list(view.errors)
        shown = self._state.task if self._state.task in tasks else next(iter(tasks), None)
        self._filling = True
        self._task.param.update(options=tasks, value=shown)
        self._filling = False
        self._choices.visible = bool(tasks)
        self.fill(view.columns, view.lines)
        self._draw()

    def _choose(self, task: str | None) -> None:
        if task and not self._filling:
            self._state.task = task

    def _draw(self) -> None:
        from moma_app.plots import error_against_shots

        view, task = self._view, self._task.value
        if view is None:
            return
        if task not in view.errors:
            self._figure.clear()
            return
        errors, unit, spread = view.errors[task], view.units[task], self._state.spread
        self._figure.show(lambda mode: error_against_shots(errors, unit=unit, spread=spread, mode=mode))


def shot_errors(task: str, results: Sequence[CellResult]) -> list[ShotErrors]:
    """Return the lines of the figure for a task: test errors by method and number of training structures."""
    own = [result for result in results if result.cell.task == task and result.mae is not None]
    methods = dict.fromkeys(result.cell.method for result in own)
    shots = dict.fromkeys(result.cell.shots for result in own)
    lines = []
    for method, n in product(methods, shots):
        same = [result for result in own if (result.cell.method, result.cell.shots) == (method, n)]
        if same:
            sizes = [result.cell.size.train for result in same]
            errors = {f"split {r.cell.split}, seed {r.cell.seed}": r.mae for r in same if r.mae is not None}
            lines.append(ShotErrors(method_label(method), n, sum(sizes) / len(sizes), errors))
    return lines


def columns_of(methods: Sequence[str]) -> list[str]:
    """Return the columns of the table."""
    labels = [f"{method_label(name)}: test MAE" for name in methods]
    against = [AGAINST] if {AMC, BARE} <= set(methods) else []
    return ["Dataset", "N", *labels, *against, "Fits"]


def lines_of(
    methods: Sequence[str], rows: Sequence[Row], results: Sequence[CellResult]
) -> list[dict[str, str]]:
    """Return the table's lines: one for each task and number of training structures."""
    columns = columns_of(methods)
    lines: list[dict[str, str]] = []
    for task, shots in dict.fromkeys((each["task"], each["shots"]) for each in rows):
        own = {each["method"]: each for each in rows if (each["task"], each["shots"]) == (task, shots)}
        some = next(iter(own.values()))
        line = {
            "Dataset": with_unit(task, some["unit"]),
            "N": f"full ({some['train_rows']:,.0f})" if shots is None else f"{shots:,}",
            "Fits": str(max(each["n"] for each in own.values())),
        }
        for name, column in zip(methods, columns[2:], strict=False):
            line[column] = mean_text(own[name]["mae"], own[name]["mae_std"]) if name in own else "–"
        if AGAINST in columns:
            gain = against_bare(
                [result for result in results if (result.cell.task, result.cell.shots) == (task, shots)]
            )
            line[AGAINST] = "–" if gain is None else percent_text(gain.mean, gain.std)
        lines.append(line)
    return lines


def against_bare(results: Sequence[CellResult]) -> Spread | None:
    """Return the differences in % of AMC's errors to those of the bare backbone, each on the same rows.

    Args:
        results: of one task and number of training structures.
    """
    from moma_app.experiments.statistics import percent, spread

    errors = {(r.cell.method, r.cell.split, r.cell.seed): r.mae for r in results if r.mae is not None}
    differences = [
        percent(error, errors[BARE, split, seed])
        for (method, split, seed), error in errors.items()
        if method == AMC and (BARE, split, seed) in errors
    ]
    return spread([difference for difference in differences if difference is not None])
