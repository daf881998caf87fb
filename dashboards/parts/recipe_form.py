"""The recipe of a fit as a form: what a scientist changes, and the rest behind a fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import fold
from dashboards.parts.recipe_fields import (
    USUAL,
    Setting,
    changes_between,
    known_recipe,
    settings,
    values_of,
    with_changes,
)
from dashboards.session import Session
from moma_app.errors import InputError
from moma_app.training.recipe import Recipe, recipe_names


class RecipeForm(Viewer):
    """Fields for all settings of a recipe.

    Args:
        session: of the page.
        recipe: name of the recipe that is changed.
        changes: how, as an address has it, see :func:`~dashboards.parts.recipe_fields.changes_between`.
    """

    recipe = param.String(doc="Name of the recipe that is changed.")
    changes = param.List(default=[], item_type=str, doc="Settings that differ from it.")

    def __init__(self, session: Session, recipe: str, changes: Sequence[str] = ()) -> None:
        names = recipe_names()
        super().__init__(recipe=names[0])
        self._session = session
        self._quiet = False
        self._problems: dict[str, str] = {}
        self._values = values_of(known_recipe(self.recipe))
        self._name = pmui.Select(
            label="Recipe",
            description="Settings that belong together; any of them can be changed.",
            options=names,
            value=self.recipe,
            size="small",
            sizing_mode="stretch_width",
        )
        self._name.param.watch(session.guard(lambda event: self.fill(event.new, ())), "value")
        self._fields = {path: self._field(settings()[path]) for path in USUAL}
        self._rest = fold("More settings")
        self._rest.param.watch(session.guard(lambda _: self._unfold()), "collapsed")
        self._view = pn.Column(
            self._name,
            _pairs(list(self._fields.values())),
            self._rest,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.fill(self.recipe, changes)

    def fill(self, recipe: str, changes: Sequence[str]) -> None:
        """Show a recipe with some settings changed; what cannot be used is told, and left out."""
        base = known_recipe(self.recipe)
        chosen = base
        try:
            chosen = base = known_recipe(recipe)
            chosen = with_changes(base, changes)
        except InputError as exc:
            self._session.fail(str(exc))
        self._show(base.name, chosen)

    def show(self, recipe: Recipe) -> None:
        """Show a recipe of a run: the one of its name with its changes, or else the usual one with them."""
        known = recipe.name if recipe.name in recipe_names() else self.recipe
        offered = {
            path: value
            for path, value in values_of(recipe).items()
            if value is None or not settings()[path].choices or value in settings()[path].choices
        }
        self._show(known, known_recipe(known).replaced(offered))

    def check(self) -> None:
        """Raise what is wrong in a field.

        Raises:
            InputError: a value cannot be used.
        """
        for problem in self._problems.values():
            raise InputError(problem)

    def _unfold(self) -> None:
        """Make the fields behind the fold when they are first asked for: most pages never show them."""
        if len(self._rest) or self._rest.collapsed:
            return
        rest = {path: self._field(setting) for path, setting in settings().items() if path not in USUAL}
        self._quiet = True
        for path, field in rest.items():
            field.value = settings()[path].show(self._values[path])
        self._quiet = False
        self._fields |= rest
        self._rest.objects = [_pairs(list(rest.values()))]

    def _show(self, name: str, recipe: Recipe) -> None:
        self._quiet = True
        self._values = values_of(recipe)
        self._name.value = name
        for path, field in self._fields.items():
            field.value = settings()[path].show(self._values[path])
            self._judge(path, "")
        self._quiet = False
        self.param.update(recipe=name, changes=changes_between(known_recipe(name), recipe))

    def _take(self, path: str, text: str) -> None:
        if self._quiet:
            return
        try:
            self._values[path] = settings()[path].read(text)
        except InputError as exc:
            self._judge(path, str(exc))
            return
        self._judge(path, "")
        base = known_recipe(self.recipe)
        self.changes = changes_between(base, base.replaced(self._values))

    def _judge(self, path: str, problem: str) -> None:
        """Say below a field what is wrong with it."""
        self._problems.pop(path, None)
        if problem:
            self._problems[path] = problem
        if not settings()[path].choices:
            self._fields[path].param.update(error_state=bool(problem), helper_text=problem)

    def _field(self, setting: Setting) -> Any:
        look = {
            "label": setting.label,
            "description": setting.description,
            "size": "small",
            "sizing_mode": "stretch_width",
        }
        if setting.choices:
            options = {choice: choice for choice in setting.choices}
            field = pmui.Select(
                options={"the backbone's": "", **options} if setting.optional else options, **look
            )
        else:
            field = pmui.TextInput(placeholder="no limit" if setting.optional else "", **look)
        field.param.watch(
            self._session.guard(lambda event, path=setting.path: self._take(path, event.new or "")), "value"
        )
        return field

    def __panel__(self) -> Viewable:
        return self._view


def _pairs(fields: Sequence[Any]) -> Viewable:
    """Return fields two in a line."""
    cells = [pmui.Grid(field, size=6, sizing_mode="stretch_width") for field in fields]
    return pmui.Grid(*cells, container=True, spacing=0, sizing_mode="stretch_width", margin=0)
