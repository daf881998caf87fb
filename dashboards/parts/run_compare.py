"""Runs beside each other: what differs in arguments, facts and metrics, and their learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.buttons import back_button
from dashboards.components.figure import Figure
from dashboards.components.layout import empty, muted, row, section
from dashboards.components.table import Table
from dashboards.parts import run_words
from dashboards.parts.run_curves import RunCurve, by_axis, curve_of_run, drawing
from dashboards.parts.run_state import RunsState
from dashboards.services import get_jobs
from dashboards.session import Session
from moma_app.jobs.record import Record
from moma_app.jobs.states import SHORT
from moma_app.plots.text import count

NAME = "Name"


@dataclass(frozen=True)
class _Compared:
    records: list[Record]
    curves: list[RunCurve]


class RunComparison(Viewer):
    """Runs that the address names, beside each other."""

    def __init__(self, session: Session, state: RunsState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._place = pn.Column(
            empty("Reading the runs …"), sizing_mode="stretch_width", min_height=400, margin=0
        )
        starts = list(dict.fromkeys(state.compare))
        session.background(lambda: _read(starts), self._show, failed=self._missing)

    def _missing(self, text: str) -> None:
        self._place.objects = [empty(text, self._back())]

    def _show(self, compared: _Compared) -> None:
        records = compared.records
        self._place.objects = [
            section(
                "",
                row(
                    self._back(),
                    pmui.Typography(f"{count(len(records), 'run')} compared", variant="h6", margin=(4, 10)),
                ),
                self._table(
                    [{NAME: "name", **_by_run(records, [r.name for r in records])}, *self._about(records)]
                ),
            ),
            section("Metrics", self._metrics(records)),
            *self._figures(compared.curves),
            self._differences("Arguments that differ", [r.parameters for r in records], records),
            self._differences("Facts that differ", [r.facts for r in records], records),
        ]

    def _back(self) -> Viewable:
        return back_button(self._session, "All runs", lambda: self._state.param.update(compare=[]))

    @staticmethod
    def _about(records: Sequence[Record]) -> list[dict[str, str]]:
        lines = {
            "state": [run_words.state_text(record) for record in records],
            "task": [record.task for record in records],
            "created": [run_words.when(record.created) for record in records],
            "duration": [run_words.duration(record) for record in records],
        }
        return [{NAME: name, **_by_run(records, values)} for name, values in lines.items()]

    def _metrics(self, records: Sequence[Record]) -> Viewable | Table:
        names = sorted({name for record in records for name in record.metrics})
        if not names:
            return empty("None of these runs has a metric.")
        tasks = {record.task for record in records}
        task = tasks.pop() if len(tasks) == 1 else ""
        return self._table(
            [
                {
                    NAME: run_words.metric_label(name, task),
                    **_by_run(records, [_value(record, name) for record in records]),
                }
                for name in names
            ]
        )

    def _differences(
        self, title: str, values: Sequence[Mapping[str, str]], records: Sequence[Record]
    ) -> Viewable:
        found = differing(values)
        if not found:
            return section(title, muted("None."))
        return section(
            title, self._table([{NAME: name, **_by_run(records, texts)} for name, texts in found.items()])
        )

    def _figures(self, curves: Sequence[RunCurve]) -> list[Viewable]:
        parts = []
        for group in by_axis(curves):
            figure = Figure(self._session, height=330)
            figure.show(drawing(group))
            parts.append(section("Learning curves", figure))
        return parts

    def _table(self, rows: Sequence[Mapping[str, str]]) -> Table:
        table = Table(self._session, list(rows[0]), page_size=None, sortable=False)
        table.show(rows)
        return table

    def __panel__(self) -> Viewable:
        return self._place


def differing(values: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the names whose values are not all the same, with the values in order; ``–`` for none."""
    names = sorted({name for value in values for name in value})
    rows = {name: [value.get(name, "–") for value in values] for name in names}
    return {name: row for name, row in rows.items() if len(set(row)) > 1}


def _value(record: Record, name: str) -> str:
    return run_words.value_text(record.metrics[name]) if name in record.metrics else "–"


def _by_run(records: Sequence[Record], values: Sequence[str]) -> dict[str, str]:
    return {record.id[:SHORT]: value for record, value in zip(records, values, strict=True)}


def _read(starts: Sequence[str]) -> _Compared:
    jobs = get_jobs()
    records = [jobs.store.get(jobs.record(start).id) for start in starts]
    curves = [curve_of_run(record) for record in records]
    return _Compared(records, [curve for curve in curves if curve is not None])
