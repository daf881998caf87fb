"""Structures of a dataset that stand in it, or in other datasets, more than once: what would leak into a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import muted, row
from dashboards.components.run_panel import RunPanel
from dashboards.components.table import Table
from dashboards.services import all_tasks
from dashboards.session import Session

if TYPE_CHECKING:
    from moma_app.jobs.spec import RunSpec
    from moma_app.tasks.duplicates import DuplicateReport

CONFIRMED = 20
"""Closest pairs that pymatgen's structure matcher is also asked about."""
MOST_PAIRS = 200


class DuplicatesPart(Viewer):
    """Looks for duplicates as a run, and shows them."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._task = ""
        self._go = pmui.Button(
            label="Look for duplicates", icon="content_copy", variant="outlined", margin=(8, 10)
        )
        self._go.on_click(session.guard(lambda _: self._start()))
        self._run = RunPanel(session, on_finished=self._found, what="Search")
        self._answer = pn.Column(sizing_mode="stretch_width", margin=0)
        self._view = pn.Column(row(self._go), self._run, self._answer, sizing_mode="stretch_width", margin=0)

    def show(self, name: str) -> None:
        """Turn to another task."""
        self._task = name
        self._run.clear()
        self._answer.objects = []

    def _start(self) -> None:
        task = self._task

        def make() -> RunSpec:
            from moma_app.tasks import get_task
            from moma_app.work.examine import examine_spec

            others = [other.name for other in all_tasks() if other.available and other.name != task]
            return examine_spec(get_task(task), others, confirm=CONFIRMED)

        self._answer.objects = []
        self._run.start(make)

    def _found(self, result: dict[str, Any]) -> None:
        from moma_app.tasks.duplicates import DuplicateReport

        self._answer.objects = duplicates_view(
            self._session, DuplicateReport.from_dict(_known(result["report"]))
        )

    def __panel__(self) -> Viewable:
        return self._view


def _known(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "n_pairs"}


def duplicates_view(session: Session, report: DuplicateReport) -> list[Viewable]:
    """Return which tasks share structures with a dataset, and the closest pairs."""
    shared = [one for one in report.compared if one.repeated]
    if not shared:
        return [
            muted(
                f"No structure of {report.task} was found twice, in it or in {len(report.compared) - 1} other datasets."
            )
        ]
    tasks = Table(session, ["Dataset", "Its structures", "Shared structures"], page_size=8)
    tasks.show(
        [
            {
                "Dataset": f"{one.task} (this one)" if one.task == report.task else one.task,
                "Its structures": one.rows,
                "Shared structures": one.repeated,
            }
            for one in sorted(shared, key=lambda one: -one.repeated)
        ]
    )
    ours, theirs = (
        f"{which} ({report.unit})" if report.unit else which for which in ("Target", "Other target")
    )
    pairs = Table(
        session,
        ["Id", ours, "Dataset", "Other id", theirs, "Same numbers", "Matcher agrees"],
        digits={ours: 4, theirs: 4},
        page_size=10,
    )
    pairs.show(
        [
            {
                "Id": pair.id,
                ours: pair.target,
                "Dataset": pair.task,
                "Other id": pair.other_id,
                theirs: pair.other_target,
                "Same numbers": "yes" if pair.identical else "no",
                "Matcher agrees": {True: "yes", False: "no", None: "not asked"}[pair.same],
            }
            for pair in report.closest(MOST_PAIRS)
        ]
    )
    return [
        muted(
            "Structures that stand in several datasets: a module trained on one of them has seen the other's test rows."
        ),
        tasks,
        muted("The closest pairs:"),
        pairs,
    ]
