"""What all widgets share: style, a line that says what goes on, errors in one sentence, work beside the notebook."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, Self

from moma_app.errors import MomaError
from moma_app.markup import Markup, element, join
from moma_app.widgets.library import library
from moma_app.widgets.look import Look, html, style
from moma_app.widgets.toolkit import ipywidgets

LOG = logging.getLogger("moma_app.widgets")


class Widget(ipywidgets.VBox):  # type: ignore[misc]
    """A widget of MoMa.

    An error in what it does is shown as one sentence in it, and kept as ``error``; ``moma_app.widgets`` logs
    the rest for those who debug. Closing a widget ends what it does in the background.

    Args:
        look: whether its figures are for light or dark themes.
    """

    def __init__(self, *, look: Look = "auto") -> None:
        self.error: Exception | None = None
        self._look = look
        self._work: threading.Thread | None = None
        self._made = False
        self._line = html()
        self._style = style()
        super().__init__()
        self.add_class("moma")
        self.add_class(f"moma-{look}")

    def _fill(self, *children: Any) -> None:
        """Show widgets below one another."""
        self.children = (self._style, library().view, *children)
        self._made = True

    # -- what it says ----------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        """Say what goes on, or how it stands."""
        self.error = None
        self._line.value = str(element("span", text, class_="moma-muted"))

    def _fail(self, error: Exception) -> None:
        """Say in one sentence what went wrong."""
        self.error = error
        LOG.debug("in a widget", exc_info=error)
        said = str(error)
        if not isinstance(error, MomaError):
            said = f"This did not work ({type(error).__name__}: {' '.join(said.split())}): please report it."
        self._line.value = str(element("span", said, class_="moma-error", role="alert"))

    def _guarded(self, act: Callable[..., None]) -> Callable[..., None]:
        """Return a callback whose errors are shown in the widget."""

        @wraps(act)
        def guarded(*args: Any) -> None:
            try:
                act(*args)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the user gets a sentence
                self._fail(exc)

        return guarded

    # -- work ------------------------------------------------------------------------------------

    def _begin(self, work: Callable[[], None], name: str) -> None:
        """Do something in a thread of its own; what was begun before goes on by itself."""
        self._work = threading.Thread(target=self._guarded(work), name=name, daemon=True)
        self._work.start()

    @property
    def busy(self) -> bool:
        """Whether it works on something in the background."""
        return self._work is not None and self._work.is_alive()

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until nothing goes on in the background, or for so many seconds; return the widget itself.

        A notebook that is made into HTML waits before it shows a widget: what is shown then is its picture.
        """
        work = self._work
        if work is not None and work is not threading.current_thread():
            work.join(timeout)
        return self

    # -- where nothing runs ----------------------------------------------------------------------

    def _still(self) -> Markup:
        """Return what the widget shows as HTML in which nothing runs."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the live widget, and beside it a picture of what it shows now."""
        bundle: dict[str, Any] = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = repr(self)
        bundle["text/html"] = self.to_html()
        return bundle

    def to_html(self) -> str:
        """Return what the widget shows now as HTML that needs neither a kernel nor scripts."""
        content: list[Markup] = [self._still()]
        if self.error is not None:
            content.append(element("p", str(self.error), style="color:#c62828"))
        return str(element("div", join(content), style="font-size:13px;line-height:1.45;overflow-x:auto"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._words()})"

    def _words(self) -> str:
        """Return in a few words what the widget shows."""
        raise NotImplementedError

    def close(self) -> None:
        """Take the widget from the page, and end what it does; again, or half made, that is nothing."""
        if self.comm is None:
            return
        if self._made:
            self._end()
        for child in self.children:
            if child is not library().view:
                child.close()
        super().close()

    def _end(self) -> None:
        """End what goes on in the background."""
