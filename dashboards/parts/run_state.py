"""What the Runs page shows, as its address says it."""

from __future__ import annotations

from typing import cast

import param

from dashboards.address import PageState
from dashboards.parts.run_pages import Wanted
from moma_app.jobs.states import OPEN, STATES, State

ALL, UNFINISHED, RESUMABLE_ONES = "", "open", "resumable"
STATE_CHOICES: dict[str, str] = {
    "All states": ALL,
    "Open (queued, running)": UNFINISHED,
    "Can be resumed": RESUMABLE_ONES,
    **{state.capitalize(): state for state in STATES},
}
_SETS: dict[str, tuple[State, ...]] = {
    ALL: STATES,
    UNFINISHED: tuple(sorted(OPEN)),
    RESUMABLE_ONES: ("failed", "cancelled", "interrupted"),
}
STEPS = ("run", "compare")
"""Parts of the state that "back" undoes."""


class RunsState(PageState):
    """One run, a comparison, or a page of the list."""

    run = param.String(doc="First digits of the run that is shown.")
    compare = param.List(default=[], item_type=str, doc="Runs that are compared, by id.")
    state = param.Selector(default=ALL, objects=list(STATE_CHOICES.values()))
    unit = param.String(doc="Kind of work.")
    task = param.String()
    text = param.String(doc="Part of the name, or the first digits of an id.")
    sheet = param.Integer(default=1, bounds=(1, None), doc="Page of the list.")

    def wanted(self) -> Wanted:
        """Return which runs the list shows."""
        return Wanted(
            states=_SETS.get(self.state) or (cast("State", self.state),),
            unit=self.unit or None,
            task=self.task or None,
            name=self.text.strip(),
            sheet=self.sheet,
        )
