"""Data: bring a dataset, look at it, find duplicates, set its split."""

from __future__ import annotations

from collections.abc import Sequence

import panel_material_ui as pmui
import param
from panel.viewable import Viewable

from dashboards.address import PageState
from dashboards.components.layout import columns, section
from dashboards.components.task_picker import TaskPicker
from dashboards.parts.compose_state import SPLITS
from dashboards.parts.data_duplicates import DuplicatesPart
from dashboards.parts.data_look import LookPart
from dashboards.parts.data_split import SplitPart
from dashboards.parts.data_upload import UploadPart
from dashboards.session import Session


class DataState(PageState):
    """The dataset that is looked at, and one of its splits."""

    task = param.String()
    split = param.Integer(default=0, bounds=(0, None))


def build(session: Session) -> Sequence[Viewable]:
    """Build the page."""
    return DataPage(session).view


class DataPage:
    """Ties the parts of the page to the chosen dataset."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.state = DataState(session.query)
        self._tasks = TaskPicker(session, self.state.task)
        self._split_seed = pmui.Select(
            label="Split (seed)", options=SPLITS, value=min(self.state.split, 4), size="small", width=110
        )
        self._look = LookPart(session)
        self._duplicates = DuplicatesPart(session)
        self._split = SplitPart(session, self._show)
        self._upload = UploadPart(session, self._added)
        self._tasks.param.watch(lambda event: self.state.param.update(task=event.new), "value")
        self._split_seed.param.watch(
            session.guard(lambda event: self.state.param.update(split=event.new)), "value"
        )
        self.state.param.watch(lambda _: self._show(), ["task", "split"])
        session.follow(self.state)
        self.view = self._layout()
        if self.state.task:
            self._show()

    def _show(self) -> None:
        name = self.state.task
        self._look.show(name, self.state.split)
        self._duplicates.show(name)
        self._session.background(lambda: is_own(name), lambda own: self._split.show(name, own=own))

    def _added(self, name: str) -> None:
        self._tasks.renew(name)
        if name == self.state.task:
            self._show()

    def _layout(self) -> list[Viewable]:
        return [
            section("Bring your own", self._upload),
            section(
                "Look",
                columns(self._tasks, self._split_seed, widths=[10, 2]),
                self._look,
                min_height=640,
            ),
            columns(
                section("Split", self._split, min_height=180),
                section(
                    "Duplicates",
                    self._duplicates,
                    note="Looks for its structures in this dataset and in all others on this machine.",
                    min_height=180,
                ),
                widths=[6, 6],
            ),
        ]


def is_own(name: str) -> bool:
    """Say whether a task is the user's own."""
    from moma_app.tasks import get_task

    return bool(name) and get_task(name).spec.role == "user"
