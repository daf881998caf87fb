"""WeightMap: what a hub's modules are worth to tasks, as a heat map; the story of a cell on click."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from moma_app.errors import InputError, UnknownNameError
from moma_app.markup import Child, Markup, element, join
from moma_app.plots.insight_order import arranged, cell_at
from moma_app.plots.insight_values import Insights, ranks, stability_text, value_text
from moma_app.plots.still import still_map, still_table
from moma_app.plots.text import count, number, weight_text, with_unit
from moma_app.widgets.base import Widget
from moma_app.widgets.figure import FigureBox
from moma_app.widgets.look import Look, facts, html, row
from moma_app.widgets.toolkit import ipywidgets

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights
    from moma_app.hub.card import Card

ORDERS = {"By name": "name", "Alike together": "cluster", "By family": "family"}
WAITING = "Click a cell, or choose a module and a task above, to see what the module is to the task."


class Selected(NamedTuple):
    """The cell whose story is told."""

    module: str
    task: str


class WeightMap(Widget):
    """Heat map of hub modules (columns) and tasks (rows).

    Args:
        of: compositions (``AMCResult``, of any tasks and splits), an ``InsightMatrix``, the published weights,
            or the values of a map (:class:`moma_app.plots.insight_values.Insights`).
        order: of rows and columns: ``name``, ``cluster`` or ``family``.
        look: whether the figures are for light or dark themes.

    Attributes:
        view, order, module, task: the controls.

    Raises:
        InputError: there is nothing to show.
    """

    def __init__(
        self,
        of: AMCResult | Iterable[AMCResult] | InsightMatrix | PublishedWeights | Insights,
        *,
        order: str = "name",
        look: Look = "auto",
    ) -> None:
        super().__init__(look=look)
        self._maps, self._matrix, self._published, self._cards = _read(of)
        self._listeners: list[Callable[[Selected], None]] = []
        self._quiet = False
        first = next(iter(self._maps.values()))
        self.view = ipywidgets.ToggleButtons(
            options=list(self._maps), style={"button_width": "auto"}, layout=_shown(len(self._maps) > 1)
        )
        self.order = ipywidgets.Dropdown(
            options=list(ORDERS.items()), value=order, layout=ipywidgets.Layout(width="150px")
        )
        self.module = _choice("Module", first.modules)
        self.task = _choice("Task", first.tasks)
        self._figure = FigureBox(look, height=120)
        self._story = html()
        self._fill(row(self.view, self.order, self.module, self.task), self._figure, self._story, self._line)
        for control in (self.view, self.order):
            control.observe(self._guarded(lambda _: self._draw()), "value")
        for control in (self.module, self.task):
            control.observe(self._guarded(lambda _: self._tell()), "value")
        self._draw()
        self._tell()

    # -- what it gives ---------------------------------------------------------------------------

    @property
    def selected(self) -> Selected | None:
        """Module and task of the cell whose story is told; ``None`` if none is."""
        if not (self.module.value and self.task.value):
            return None
        return Selected(self.module.value, self.task.value)

    def select(self, module: str, task: str) -> None:
        """Tell the story of a cell.

        Raises:
            UnknownNameError: the map has no such module or task.
        """
        for what, name, known in (
            ("module on this map", module, self.insights.modules),
            ("task on this map", task, self.insights.tasks),
        ):
            if name not in known:
                raise UnknownNameError(what, name, known)
        self._quiet = True
        self.module.value, self.task.value = module, task
        self._quiet = False
        self._tell()

    def on_select(self, act: Callable[[Selected], None]) -> None:
        """Call a function with each cell that the user chooses."""
        self._listeners.append(act)

    @property
    def insights(self) -> Insights:
        """The values that are shown: means over splits, with their spread."""
        return self._maps[self.view.value]

    # -- what is shown ---------------------------------------------------------------------------

    def _draw(self) -> None:
        from moma_app.plots.heatmap import insight_heatmap

        insights, order = self.insights, self.order.value

        def tapped(x: float, y: float) -> None:
            cell = cell_at(insights, x, y, order=order)
            if cell is not None:
                self.select(cell[1], cell[0])

        figure = insight_heatmap(insights, order=order, mode=self._figure.mode)
        self._figure.show(figure, self._guarded(tapped))
        self._say(f"{count(len(insights.modules), 'module')}, {count(len(insights.tasks), 'task')}.")

    def _tell(self) -> None:
        if self._quiet:
            return
        chosen = self.selected
        if chosen is None:
            self._story.value = str(element("p", WAITING, class_="moma-muted"))
            return
        self._story.value = str(join(self._told(chosen)))
        for act in self._listeners:
            act(chosen)

    def _told(self, chosen: Selected) -> list[Markup]:
        from moma_app.plots.insight_story import tell, tell_published

        told = [element("div", f"{chosen.module} for {chosen.task}", class_="moma-title")]
        if self._matrix is not None:
            story = tell(self._matrix, chosen.task, chosen.module)
            told += [element("p", sentence) for sentence in story.sentences()]
            lines: list[list[Child]] = [
                [
                    f"{line.split}",
                    weight_text(line.weight),
                    f"{line.rank}",
                    number(line.proxy),
                    f"{line.ratio:.2f}",
                ]
                for line in story.lines
            ]
            head = ["Split", "Weight", "Rank", with_unit("Proxy MAE", story.unit), "Times the lowest"]
            told += [still_table(head, lines, numbers=range(5))] if lines else []
        elif self._published is not None:
            said, splits = tell_published(self._published, chosen.task, chosen.module)
            told.append(element("p", said or "Nothing was published for this cell."))
            rows: list[list[Child]] = [[f"{split}", weight_text(weight)] for split, weight in splits.items()]
            told.append(still_table(["Split", "Published weight"], rows, numbers=range(2)))
        else:
            told.append(facts(self._cell(chosen)))
        card = self._cards.get(chosen.module)
        if card is not None:
            from moma_app.plots.card_words import about

            known = about(card)
            told.append(facts({name: known[name] for name in ("Predicts", "Test error", "Training rows")}))
        return told

    def _cell(self, chosen: Selected) -> dict[str, str]:
        view = self.insights
        at = (view.tasks.index(chosen.task), view.modules.index(chosen.module))
        place = ranks(view)[at[0]][at[1]]
        return {
            "Value": value_text(view, *at),
            "Rank": "–" if place is None else f"{place} of {len(view.modules)}",
            "Spread": stability_text(view, *at),
            "Trained on": view.quantity(chosen.module),
        }

    def _still(self) -> Markup:
        view = arranged(self.insights, self.order.value)
        parts = [element("p", element("b", f"{self.view.value} of hub modules for tasks"))]
        parts.append(still_map(view, order=self.order.value))
        chosen = self.selected
        return join([*parts, *(self._told(chosen) if chosen is not None else [])])

    def _words(self) -> str:
        size = f"{len(self.insights.tasks)} tasks × {len(self.insights.modules)} modules"
        return size if self.selected is None else f"{size}, selected={tuple(self.selected)}"


class _Read(NamedTuple):
    """What a map is made of: compositions or published weights, if that is it; the maps by name; cards of modules."""

    maps: Mapping[str, Insights]
    matrix: InsightMatrix | None = None
    published: PublishedWeights | None = None
    cards: Mapping[str, Card] = MappingProxyType({})


def _read(of: Any) -> _Read:
    from moma_app.amc.result import AMCResult
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights
    from moma_app.experiments.words import words_of
    from moma_app.hub.hub import Hub
    from moma_app.plots.insight_maps import maps_of, published_map

    if isinstance(of, Insights):
        return _Read({"Proxy errors" if of.kind == "proxy error" else "Weights": of})
    if isinstance(of, PublishedWeights):
        words = words_of([*of.tasks, *of.modules], {})
        return _Read({"Published weights": published_map(of, [], of.splits, words)}, published=of)
    if isinstance(of, AMCResult):
        of = [of]
    matrix = of if isinstance(of, InsightMatrix) else InsightMatrix.of(of)
    if not matrix.compositions:
        raise InputError("There is no composition to show yet: compose for a task first.")
    cards = {card.name: card for card in Hub.open().cards() if card.name in matrix.modules}
    maps = maps_of(matrix, words_of(matrix.tasks, cards))
    return _Read({"Weights": maps["weights"], "Proxy errors": maps["proxy"]}, matrix=matrix, cards=cards)


def _choice(what: str, names: Iterable[str]) -> Any:
    return ipywidgets.Dropdown(
        options=[(f"{what} …", ""), *((name, name) for name in sorted(names))],
        value="",
        layout=ipywidgets.Layout(width="200px"),
    )


def _shown(shown: bool) -> Any:
    return ipywidgets.Layout(width="auto", display=None if shown else "none")
