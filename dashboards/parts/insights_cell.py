"""The panel that tells the story of a cell: choose it here or on the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.address import query_of
from dashboards.components.details import Details
from dashboards.components.layout import empty, literal, muted, row
from dashboards.components.small_table import Link, SmallTable, Value
from dashboards.parts.insights_state import InsightsState
from dashboards.session import Session
from moma_app.jobs.states import SHORT
from moma_app.plots.insight_story import SplitLine, Story, tell, tell_published
from moma_app.plots.text import number, weight_text, whole, with_unit, with_unit_after

if TYPE_CHECKING:
    from moma_app.experiments.matrix import InsightMatrix
    from moma_app.experiments.published import PublishedWeights
    from moma_app.hub.card import Card

WAITING = (
    "Click a cell of the map, or choose a task and a module here, to see what the module is to the task."
)


class InsightsCell(Viewer):
    """Follows the task and module of the page's state.

    Args:
        session: of the page.
        state: of the page.
    """

    def __init__(self, session: Session, state: InsightsState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._matrix: InsightMatrix | None = None
        self._published: PublishedWeights | None = None
        self._cards: Mapping[str, Card] | None = None
        self._task = pmui.Select(label="Task", **_LOOK)
        self._module = pmui.Select(label="Module", **_LOOK)
        self._place = pn.Column(sizing_mode="stretch_width", min_height=220, margin=0)
        for name, widget in (("task", self._task), ("module", self._module)):

            def take(event: param.parameterized.Event, name: str = name) -> None:
                state.param.update(**{name: event.new or ""})

            widget.param.watch(session.guard(take), "value")
        state.param.watch(session.guard(lambda *_: self._tell()), ["task", "module"])
        self._view = pn.Column(row(self._task, self._module), self._place, margin=0, styles=_BESIDE)
        self._tell()

    def show(
        self,
        matrix: InsightMatrix | None,
        published: PublishedWeights | None,
        cards: Mapping[str, Card] | None,
    ) -> None:
        """Take what stories are told from.

        Args:
            matrix: the compositions; ``None`` if there is no plan.
            published: the weights of the paper's authors, if they are here.
            cards: of the hub's modules, by name; ``None`` while they are read.
        """
        self._matrix, self._published, self._cards = matrix, published, cards
        self._tell()

    def _tell(self) -> None:
        task, module = self._state.task, self._state.module
        self._offer()
        if not (task and module):
            self._place.objects = [empty(WAITING)]
            return
        told: list[Any] = [_title(f"{module} for {task}")]
        story = None if self._matrix is None else tell(self._matrix, task, module)
        if story is not None:
            told += [_text(sentence) for sentence in story.sentences()]
        said, published = (
            ("", {}) if self._published is None else tell_published(self._published, task, module)
        )
        told += [_text(said)] if said else []
        told += self._table(story, published)
        if self._cards is not None:
            told += self._about(self._cards.get(module), module)
        self._place.objects = told

    def _about(self, card: Card | None, module: str) -> list[Viewable | Viewer]:
        """Say what the module was trained on."""
        if card is None:
            return [muted(f"There is no module {module} in this hub.")]
        link = self._session.link("hub", query_of({"hub": self._state.hub, "module": module}))
        return [Details(_facts(card)), _button("Module in the hub", "inventory_2", link)]

    def _offer(self) -> None:
        """Offer the tasks and modules that have a story, and the chosen ones."""
        from_matrix = self._matrix
        tasks = dict.fromkeys(() if from_matrix is None else from_matrix.tasks)
        modules = dict.fromkeys(() if from_matrix is None else from_matrix.modules)
        if self._published is not None and self._state.view == "published":
            from moma_app.experiments.published import MODULES

            tasks |= dict.fromkeys(self._published.tasks)
            modules |= dict.fromkeys(MODULES)
        for widget, names, chosen in (
            (self._task, tasks, self._state.task),
            (self._module, modules, self._state.module),
        ):
            options = sorted({*names, *([chosen] if chosen else [])})
            widget.param.update(options={"–": "", **{name: name for name in options}}, value=chosen)

    def _table(self, story: Story | None, published: Mapping[int, float]) -> list[Viewable]:
        """Return the cell split by split: ours, and what was published."""
        lines = {} if story is None else {line.split: line for line in story.lines}
        if not lines and not published:
            return []
        error = with_unit("Proxy MAE", "" if story is None else story.unit)
        ours = ["Weight", "Rank", error, "Times the lowest", "Composition"] if lines else []
        rows = [
            [
                f"{split}",
                *([""] * len(ours) if split not in lines else self._values(lines[split])),
                *([weight_text(published[split]) if split in published else ""] if published else []),
            ]
            for split in sorted({*lines, *published})
        ]
        return [SmallTable(["Split", *ours, *(["Published weight"] if published else [])], rows)]

    def _values(self, line: SplitLine) -> list[Value]:
        link = self._session.link("compose", query_of({"run": line.run}))
        return [
            weight_text(line.weight),
            f"{line.rank}",
            number(line.proxy),
            f"{line.ratio:.2f}",
            Link(line.run[:SHORT], link),
        ]

    def __panel__(self) -> Viewable:
        return self._view


def _facts(card: Card) -> dict[str, str]:
    from moma_app.tasks.families import family_of

    target, data, metrics = card.target, card.data, card.metrics
    error = "" if metrics.test_mae is None else with_unit_after(metrics.test_mae, target.unit)
    ratio = "" if metrics.mae_over_mad is None else f" ({metrics.mae_over_mad:.2f} of the mean deviation)"
    return {
        "Trained on": f"{target.task}: {with_unit(target.property, target.unit)}, {family_of(target.task)}",
        "Rows": f"{whole(data.rows_train)} for training, from {data.source}",
        "Its own test MAE": error + ratio if error else "",
        "Backbone": f"{card.backbone}, {card.kind}",
    }


def _title(text: str) -> Viewable:
    return pmui.Typography(
        literal(text),
        variant="subtitle1",
        margin=(6, 10, 2, 10),
        sx={"fontWeight": 600, "overflowWrap": "anywhere"},
    )


def _text(text: str) -> Viewable:
    return pmui.Typography(
        literal(text), variant="body2", margin=(0, 10, 4, 10), sx={"overflowWrap": "anywhere"}
    )


def _button(label: str, icon: str, link: str) -> Viewable:
    return pmui.Button(label=label, icon=icon, href=link, variant="outlined", size="small", margin=(6, 10))


_BESIDE = {"flex": "1 1 400px", "min-width": "min(400px, 100%)"}
_LOOK: dict[str, Any] = {
    "size": "small",
    "sizing_mode": "stretch_width",
    "searchable": True,
    "filter_on_search": True,
    "dropdown_height": 420,
    "styles": {"flex": "1 1 160px", "min-width": "140px"},
}
