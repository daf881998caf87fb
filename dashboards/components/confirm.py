"""A question before something is done that cannot be undone."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.layout import literal
from dashboards.session import Session


class Confirm(Viewer):
    """A dialog that is invisible until :meth:`ask` opens it; a page holds one for all its questions."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._action: Callable[[], None] | None = None
        self._text = pmui.Typography("", variant="body2", margin=(4, 10), sx={"overflowWrap": "anywhere"})
        self._yes = pmui.Button(label="", color="error", variant="contained", size="small")
        no = pmui.Button(label="Keep", variant="outlined", size="small")
        self._yes.on_click(session.guard(lambda _: self._do()))
        no.on_click(lambda _: self._close())
        self._dialog = pmui.Dialog(
            self._text,
            pn.Row(no, self._yes, align="end", margin=(8, 0, 0, 0)),
            title="",
            title_variant="h6",
            close_on_click=True,
            width_option="xs",
        )

    def ask(self, title: str, text: str, answer: str, action: Callable[[], None]) -> None:
        """Ask, and act if the answer is yes.

        Args:
            title: the question.
            text: what will happen.
            answer: label of the button that does it.
            action: what it does.
        """
        self._action = action
        self._dialog.title = title
        self._text.object = literal(text)
        self._yes.label = answer
        self._dialog.open = True

    def _do(self) -> None:
        action = self._action
        self._close()
        if action is not None:
            action()

    def _close(self) -> None:
        self._action = None
        self._dialog.open = False

    def __panel__(self) -> Viewable:
        return self._dialog
