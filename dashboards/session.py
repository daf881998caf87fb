"""One browser tab's session: its address, its theme, work in the background, messages, and its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import panel as pn
import param
from panel.io.document import hold
from panel.io.state import set_curdoc

from dashboards.browser import COOKIE, Browser
from moma_app.errors import MomaError

if TYPE_CHECKING:
    from dashboards.address import PageState

Mode = Literal["light", "dark"]
T = TypeVar("T")
LOG = logging.getLogger("moma.dashboard")
_POOL = ThreadPoolExecutor(max_workers=16, thread_name_prefix="dashboard")
"""Shared by all sessions: reading data and asking the job layer; what takes long is a run."""


class Session(param.Parameterized):
    """What a page is given.

    Args:
        page: slug of the page.
        links: makes an address from a page's slug and a query.

    Attributes:
        mode: ``light`` or ``dark``; figures are redrawn when it changes.
        browser: the invisible tie to the browser.
        query: of the address that was asked for.
        refused: what of it does not fit, as ``name=value``.
    """

    mode = param.Selector(default="light", objects=["light", "dark"])

    def __init__(self, page: str, links: Callable[[str, str], str]) -> None:
        cookies = pn.state.cookies or {}
        super().__init__(mode="dark" if cookies.get(COOKIE) == "dark" else "light")
        self.browser = Browser(theme=self.mode)
        self.query = _query()
        self.refused: list[str] = []
        self._page, self._links = page, links
        self._doc = pn.state.curdoc
        self._ends: list[Callable[[], None]] = []
        self._ended = False
        self._drawn = False
        self._at_drawn: list[Callable[[], Any]] = []
        pn.state.onload(self._begin)
        pn.state.on_session_destroyed(self._end)

    # -- address ---------------------------------------------------------------------------------

    def link(self, page: str, query: str = "") -> str:
        """Return the address of a page."""
        return self._links(page, query)

    def go(self, page: str, query: str = "") -> None:
        """Open a page."""
        self.browser.target = ""
        self.browser.target = self.link(page, query)

    def follow(self, state: PageState, steps: Sequence[str] = ()) -> None:
        """Keep the address in step with a page's state.

        Args:
            state: of the page.
            steps: names of the state's parts whose change is a step of the browser's history: "back" undoes it.
        """
        self.browser.steps = list(steps)
        self.refused += state.refused

        def show(*_: Any) -> None:
            link = urlsplit(self.link(self._page, state.query))
            self.browser.query = f"?{link.query}" if link.query else ""

        state.param.watch(show, state.names())
        show()

    # -- work ------------------------------------------------------------------------------------

    def background(
        self,
        work: Callable[[], T],
        then: Callable[[T], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """Do something that may take a moment beside the page, and go on in the page with its result.

        It begins when the browser has drawn the page, which comes first.

        Args:
            work: is called in a thread; must not touch the page.
            then: is called with its result, in the page.
            failed: is called with one sentence if it raised; by default the page shows a message.
        """

        def do() -> None:
            try:
                result = work()
            except Exception as exc:  # noqa: BLE001 - told to the user, and logged unless it is meant for people
                text = self.sentence(exc)
                self.later(lambda: (failed or self.fail)(text))
            else:
                if then is not None:
                    self.later(lambda: then(result))

        self._when_drawn(lambda: _POOL.submit(do))

    def later(self, action: Callable[[], None]) -> None:
        """Do something in the page, from any thread; nothing if the tab has gone."""
        if self._ended:
            return

        def act() -> None:
            with self._one_message():
                try:
                    action()
                except Exception as exc:  # noqa: BLE001 - a page must tell what went wrong, not stand still
                    self.fail(self.sentence(exc))

        self._doc.add_next_tick_callback(act)

    def guard(self, action: Callable[..., None]) -> Callable[..., None]:
        """Wrap a callback of a widget so that an error becomes a message on the page."""

        def guarded(*arguments: Any) -> None:
            with self._one_message():
                try:
                    action(*arguments)
                except Exception as exc:  # noqa: BLE001 - as above
                    self.fail(self.sentence(exc))

        return guarded

    @contextmanager
    def _one_message(self) -> Iterator[None]:
        """Send all that is changed inside to the browser at once.

        Otherwise a change of a new part may overtake the message that adds it, and the browser does not know
        what it is about.
        """
        with set_curdoc(self._doc), hold(self._doc):
            yield

    def every(self, milliseconds: int, action: Callable[[], None]) -> Callable[[], None]:
        """Repeat something in the page; returns what ends it."""
        callback = pn.state.add_periodic_callback(self.guard(action), period=milliseconds, start=False)
        ended = False

        def begin() -> None:
            if not ended:
                callback.start()

        def stop() -> None:
            nonlocal ended
            ended = True
            callback.stop()

        self._when_drawn(begin)
        self.at_end(stop)
        return stop

    def _when_drawn(self, action: Callable[[], Any]) -> None:
        if self._drawn:
            action()
        else:
            self._at_drawn.append(action)

    def _begin(self) -> None:
        """Do what has waited for the page to be drawn."""
        self._drawn = True
        waiting, self._at_drawn = self._at_drawn, []
        for action in waiting:
            action()

    # -- messages --------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Show a short message."""
        if pn.state.notifications is not None:
            pn.state.notifications.info(text, duration=5000)

    def fail(self, text: str) -> None:
        """Show what went wrong, until it is dismissed."""
        if pn.state.notifications is not None:
            pn.state.notifications.error(text, duration=0)

    @staticmethod
    def sentence(exc: Exception) -> str:
        """Return what to tell of an error; one that is not meant for people is logged whole."""
        if isinstance(exc, MomaError):
            return str(exc)
        LOG.error("Something on a page failed", exc_info=exc)
        return (
            f"Something unexpected happened ({type(exc).__name__}: {exc}); the server's log has the details."
        )

    # -- end -------------------------------------------------------------------------------------

    def at_end(self, action: Callable[[], None]) -> None:
        """Do something when the tab is closed."""
        self._ends.append(action)

    def _end(self, _: Any) -> None:
        self._ended = True
        for action in self._ends:
            action()


def _query() -> str:
    location = pn.state.location
    return "" if location is None else str(location.search or "")
