"""Which learner an experiment uses, and its own settings; a learner that is installed later appears by itself."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import literal
from dashboards.parts.experiment_state import ExperimentState
from dashboards.parts.learner_options import OptionField, option_fields, read_options, usable_learners
from dashboards.session import Session
from moma_app.errors import MomaError


class LearnerForm(Viewer):
    """A list of learners, what the chosen one does, and a field for each of its settings.

    Args:
        session: of the page.
        state: of the page; its learner and options follow the form.
    """

    def __init__(self, session: Session, state: ExperimentState) -> None:
        super().__init__()
        self._session, self._state = session, state
        self._learners, problems = usable_learners()
        for problem in problems:
            session.fail(problem)
        offered = {learner.label: name for name, learner in self._learners.items()}
        if state.learner not in self._learners:
            offered[state.learner] = state.learner
        self._choice = pmui.Select(
            label="Learner",
            description="What learns from the training structures, on top of the composed module or the bare backbone.",
            options=offered,
            value=state.learner,
            size="small",
            sizing_mode="stretch_width",
        )
        self._summary = pmui.Typography("", variant="body2", margin=(0, 10), sx={"color": "text.secondary"})
        self._fields = pn.Column(sizing_mode="stretch_width", margin=0)
        self._choice.param.watch(session.guard(lambda event: self._change(event.new)), "value")
        self._show()
        self._view = pn.Column(
            self._choice, self._summary, self._fields, sizing_mode="stretch_width", margin=0
        )

    def _change(self, name: str) -> None:
        self._state.param.update(learner=name, options=[])
        self._show()

    def _show(self) -> None:
        """Show the fields of the learner that the state names."""
        learner = self._learners.get(self._state.learner)
        self._summary.object = "" if learner is None else literal(learner.summary)
        self._fields.objects = (
            [] if learner is None else [self._field(field) for field in option_fields(learner)]
        )

    def _field(self, field: OptionField) -> Any:
        look = {
            "label": field.label,
            "description": field.description,
            "size": "small",
            "sizing_mode": "stretch_width",
        }
        given = dict(text.partition(":")[::2] for text in self._state.options)
        value = given.get(field.name, "")
        if field.choices:
            usual = f"{field.default} (default)" if field.default else "default"
            options = {usual: "", **{choice: choice for choice in field.choices if choice != field.default}}
            widget = pmui.Select(options=options, value=value if value in options.values() else "", **look)
        else:
            widget = pmui.TextInput(placeholder=field.default or "default", value=value, **look)
        widget.param.watch(
            self._session.guard(lambda event: self._take(field.name, str(event.new or "").strip(), widget)),
            "value",
        )
        return widget

    def _take(self, name: str, text: str, widget: Any) -> None:
        """Take a setting; one that cannot be used is told below its field, and not taken."""
        others = [option for option in self._state.options if option.partition(":")[0] != name]
        options = [*others, f"{name}:{text}"] if text else others
        problem = ""
        try:
            read_options(self._learners[self._state.learner], options)
        except MomaError as exc:
            problem = str(exc)
        else:
            self._state.options = sorted(options)
        if isinstance(widget, pmui.TextInput):
            widget.param.update(error_state=bool(problem), helper_text=problem)

    def __panel__(self) -> Viewable:
        return self._view
