"""Setting the split of one's own dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import columns, literal, muted, row
from dashboards.session import Session

if TYPE_CHECKING:
    from moma_app.tasks.own_splits import OwnSplit

GROUPS = {
    "Single rows": "",
    "One formula in one part": "formula",
    "One set of elements in one part": "elements",
}


class SplitPart(Viewer):
    """Fractions, groups and held-out elements; only a user's own dataset can be split anew.

    Args:
        session: of the page.
        on_change: is called when the split has changed.
    """

    def __init__(self, session: Session, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._session, self._on_change = session, on_change
        self._task = ""
        small = {"size": "small", "sizing_mode": "stretch_width"}
        self._train = pmui.FloatInput(label="Train share", value=0.7, start=0.05, end=0.9, step=0.05, **small)
        self._val = pmui.FloatInput(
            label="Validation share", value=0.15, start=0.05, end=0.9, step=0.05, **small
        )
        self._group = pmui.Select(label="Keep together", options=GROUPS, value="", **small)
        self._held_out = pmui.TextInput(
            label="Elements held out for the test",
            placeholder="Li, Na",
            **small,
        )
        self._set = pmui.Button(label="Set split", icon="call_split", variant="outlined", margin=(8, 10))
        self._random = pmui.Button(label="Random again", variant="text", margin=(8, 10))
        self._set.on_click(session.guard(lambda _: self._change(self._written)))
        self._random.on_click(session.guard(lambda _: self._change(self._cleared)))
        self._note, self._result = muted(""), muted("")
        self._form = pn.Column(
            columns(self._train, self._val),
            columns(self._group, self._held_out),
            row(self._set, self._random),
            self._result,
            sizing_mode="stretch_width",
            margin=0,
        )
        self._view = pn.Column(self._note, self._form, sizing_mode="stretch_width", margin=0)

    def show(self, name: str, *, own: bool) -> None:
        """Turn to another task.

        Args:
            name: of the task.
            own: whether it is the user's.
        """
        if name != self._task:
            self._task = name
            self._result.object = ""
        self._form.visible = own
        self._note.object = literal(
            "What is left of the shares is the test part. Five splits are made, by the seeds 0 to 4."
            if own
            else "This dataset has the split that others use, so that errors can be compared. Your own datasets can be split here."
        )

    def _change(self, act: Callable[[], str]) -> None:
        def done(text: str) -> None:
            self._result.object = literal(text)
            self._on_change()

        self._session.background(act, done)

    def _written(self) -> str:
        from moma_app.tasks import get_task
        from moma_app.tasks.own_splits import set_split

        train, val = float(self._train.value), float(self._val.value)
        held_out = [symbol.strip() for symbol in self._held_out.value.split(",") if symbol.strip()]
        written: OwnSplit = set_split(
            get_task(self._task),
            fractions=(train, val, round(1 - train - val, 6)),
            group=self._group.value or None,
            held_out=held_out,
        )
        sizes = "; ".join(
            f"split {seed}: {a:,} / {b:,} / {c:,}" for seed, (a, b, c) in enumerate(written.sizes)
        )
        return f"Train / validation / test: {sizes}."

    def _cleared(self) -> str:
        from moma_app.tasks import get_task
        from moma_app.tasks.own_splits import clear_split

        clear_split(get_task(self._task))
        return "Rows are split at random again, 70 / 15 / 15 %."

    def __panel__(self) -> Viewable:
        return self._view
