"""Why a module has its weight: what its embeddings say of each training structure, and which neighbours say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.components.layout import columns, empty, muted
from dashboards.components.table import Table
from dashboards.parts.compose_state import ComposeState
from dashboards.services import task_data
from dashboards.session import Mode, Session
from moma_app.formulas import reduced_formula
from moma_app.plots.crystals.payload import payload_of
from moma_app.plots.crystals.view import StructureView

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.amc.stored import StoredNeighbours

MOST_NEIGHBOURS = 8
"""Neighbours whose structures are shown."""


class WhyCard(Viewer):
    """A scatter of kNN estimates against true values; a click shows the structure and its nearest neighbours."""

    def __init__(self, session: Session, state: ComposeState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._result: AMCResult | None = None
        self._stored: StoredNeighbours | None = None
        self._row: int | None = None
        self._module = pmui.Select(
            label="Module",
            options={},
            searchable=True,
            size="small",
            sizing_mode="stretch_width",
            margin=(6, 10),
        )
        self._figure = Figure(
            session, height=440, waiting="After a composition, the estimates of each module are shown here."
        )
        self._structures = StructureView(
            height=280, empty="Click a point to see the structure and its nearest neighbours."
        )
        self._table_place = pn.Column(sizing_mode="stretch_width", min_height=180, margin=0)
        self._view = columns(
            pn.Column(self._module, self._figure, sizing_mode="stretch_width", margin=0),
            pn.Column(self._structures, self._table_place, sizing_mode="stretch_width", margin=0),
            widths=[6, 6],
        )
        self._module.param.watch(session.guard(lambda event: self._choose(event.new)), "value")

    def clear(self) -> None:
        """Show that there is nothing yet."""
        self._result = self._stored = self._row = None
        self._module.param.update(options={}, value=None)
        self._figure.clear()
        self._structures.structures = []
        self._table_place.objects = []

    def show(self, result: AMCResult, stored: StoredNeighbours | None) -> None:
        """Explain a composition."""
        self._result, self._stored = result, stored
        ordered = sorted(result.modules, key=lambda score: (-score.weight, score.proxy_mae))
        options = {f"{score.module} (weight {score.weight:.3g})": score.module for score in ordered}
        names = list(options.values())
        chosen = self._state.module if self._state.module in names else names[0]
        self._module.param.update(options=options, value=chosen)
        self._choose(chosen)

    def _choose(self, module: str | None) -> None:
        if self._result is None or not module:
            return
        if module != next(iter(self._module.options.values()), None) or self._state.module:
            self._state.module = module
        result, task, split = self._result, self._result.task, self._result.split
        self._session.background(
            lambda: formulas_of(task, split), lambda found: self._draw(result, module, found)
        )
        if self._row is not None:
            self._explain(self._row)

    def _draw(self, result: AMCResult, module: str, formulas: dict[str, str]) -> None:
        from moma_app.plots import knn_scatter
        from moma_app.plots.taps import on_point

        if result is not self._result:
            return

        def draw(mode: Mode) -> Any:
            figure = knn_scatter(result, module, formulas=formulas, tappable=True, mode=mode)
            on_point(figure, self._session.guard(lambda _, row: self._explain(row)))
            return figure

        self._figure.show(draw)

    def _explain(self, row: int) -> None:
        """Show the structure of a training row and the neighbours that its estimate rests on."""
        if self._result is None:
            return
        self._row = row
        result, stored, module = self._result, self._stored, self._module.value
        if stored is None:
            self._table_place.objects = [empty("This run kept no neighbours: press Compose to see them.")]
            return
        data = task_data(result.task)
        found = stored.neighbours(module, row, k=result.k, temperature=result.temperature)
        unit = f" {result.unit}" if result.unit else ""
        rows = [(row, None, None), *((near.row, near.similarity, near.weight) for near in found)]
        positions = [int(stored.rows[number]) for number, _, _ in rows]
        crystals = [data.structures[position] for position in positions]
        self._structures.structures = [
            payload_of(crystal, label=stored.ids[number], note=f"{stored.targets[number]:.4g}{unit}")
            for crystal, (number, _, _) in zip(crystals[: MOST_NEIGHBOURS + 1], rows, strict=False)
        ]
        self._structures.active = 0
        target = f"Target ({result.unit})" if result.unit else "Target"
        table = Table(
            self._session,
            ["", "Structure", "Formula", target, "cos", "Share"],
            digits={target: 4, "cos": 4, "Share": 3},
            on_click=self._focus,
            page_size=8,
        )
        table.show(
            [
                {
                    "": "chosen" if similarity is None else f"neighbour {number}",
                    "Structure": stored.ids[train_row],
                    "Formula": reduced_formula(crystal.numbers.tolist()),
                    target: float(stored.targets[train_row]),
                    "cos": similarity,
                    "Share": weight,
                }
                for number, ((train_row, similarity, weight), crystal) in enumerate(
                    zip(rows, crystals, strict=True)
                )
            ]
        )
        score = next(score for score in result.modules if score.module == module)
        estimate = score.predictions[row]
        self._table_place.objects = [
            muted(
                f"{module} estimates {estimate:.4g}{unit} for {stored.ids[row]}, whose target is "
                f"{stored.targets[row]:.4g}{unit}, from its {result.k} nearest neighbours:"
            ),
            table,
        ]

    def _focus(self, number: int) -> None:
        if number <= MOST_NEIGHBOURS:
            self._structures.active = number

    def __panel__(self) -> Viewable:
        return self._view


def formulas_of(task: str, split: int) -> dict[str, str]:
    """Return the formula of each structure of a task by its id."""
    from moma_app.tasks.overview import get_overview

    return dict(zip(task_data(task).ids, get_overview(task, split).formulas, strict=True))
