"""Browser tabs that watch over themselves."""

from __future__ import annotations

from pathlib import Path

from serving import SLOW, Dashboard

STILL_LAID_OUT = "reading 'top_panel'"
"""Bokeh 3.9 said so once, on a busy machine, while the live curves of a fit grew; what the test asked of the page came nevertheless.
Why is not known: to be found, and this exception removed."""


LONGEST = 6000
"""Characters of a failed tab, and of the server's log, that are shown."""


class Tabs:
    """Opens tabs and watches over them: no console error, no request that leaves the machine."""

    def __init__(self, chromium, dashboard: Dashboard) -> None:
        self._chromium = chromium
        self.dashboard = dashboard
        self.problems: list[str] = []
        self._pages: list = []

    def open(self, path: str, *, dark: bool = False, width: int = 1280, height: int = 900):
        """Open a page of the dashboard.

        All tests of a process share one profile of the browser, which therefore loads the libraries once.
        """
        context = self._chromium.contexts[0] if self._chromium.contexts else self._chromium.new_context()
        theme = "dark" if dark else "light"
        context.add_cookies([{"name": "moma_theme", "value": theme, "url": self.dashboard.url}])
        context.set_default_timeout(SLOW)
        page = context.new_page()
        self._pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.on("console", self._console)
        page.on("pageerror", self._page_error)
        page.on("request", self._request)
        page.goto(self.dashboard.url + path)
        return page

    def _console(self, message) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text} {message.location}")

    def _page_error(self, error) -> None:
        if STILL_LAID_OUT not in str(error):
            self.problems.append(f"page error: {error}")

    def _request(self, request) -> None:
        own = ("127.0.0.1", "localhost")
        if request.url.startswith(("http", "ws")) and request.url.split("/")[2].split(":")[0] not in own:
            self.problems.append(f"outside request: {request.url}")

    def photograph(self, folder: Path) -> str:
        """Save what each tab shows, and return it in words with the end of the server's log."""
        told = []
        for number, page in enumerate(page for page in self._pages if not page.is_closed()):
            page.screenshot(path=folder / f"tab-{number}.png", full_page=True)
            told.append(f"tab {number}, {page.url}:\n{page.locator('body').aria_snapshot()[-LONGEST:]}")
        return "\n\n".join([*told, f"server's log:\n{self.dashboard.log.read_text()[-LONGEST:]}"])

    def close(self) -> None:
        for page in self._pages:
            page.close()
