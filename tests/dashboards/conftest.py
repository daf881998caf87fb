"""The tests' dashboard and browser; a test fails if its tabs complain or ask for anything outside this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import CHROMIUM, FLAGS, SLOW, Dashboard, start, stop


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory) -> Iterator[Dashboard]:
    """The server that the tests of this process share."""
    server = start(tmp_path_factory.mktemp("dashboard"))
    yield server
    stop(server)


@pytest.fixture(scope="session")
def chromium():
    """The browser that the tests of this process share."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium, or `make test`, which does it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Tabs:
    """Opens tabs and watches over them: no console error, no request that leaves the machine."""

    def __init__(self, chromium, dashboard: Dashboard) -> None:
        self._chromium = chromium
        self.dashboard = dashboard
        self.problems: list[str] = []
        self._contexts: list = []

    def open(self, path: str, *, dark: bool = False, width: int = 1280, height: int = 900):
        """Open a page of the dashboard in a browser profile of its own."""
        context = self._chromium.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True
        )
        self._contexts.append(context)
        if dark:
            context.add_cookies([{"name": "moma_theme", "value": "dark", "url": self.dashboard.url}])
        context.set_default_timeout(SLOW)
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("request", self._request)
        page.goto(self.dashboard.url + path)
        return page

    def _console(self, message) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text} {message.location}")

    def _request(self, request) -> None:
        own = ("127.0.0.1", "localhost")
        if request.url.startswith(("http", "ws")) and request.url.split("/")[2].split(":")[0] not in own:
            self.problems.append(f"outside request: {request.url}")

    def photograph(self, folder: Path) -> None:
        """Save what each tab shows."""
        for number, page in enumerate(page for context in self._contexts for page in context.pages):
            page.screenshot(path=folder / f"tab-{number}.png", full_page=True)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep whether a test failed for its fixtures."""
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture
def tabs(chromium, dashboard, request, tmp_path) -> Iterator[Tabs]:
    """Tabs on the shared server; the test fails if one of them complained.

    A test that failed leaves pictures of its tabs in its folder under pytest's ``--basetemp``.
    """
    opened = Tabs(chromium, dashboard)
    yield opened
    if getattr(request.node, "failed", False):
        opened.photograph(tmp_path)
    opened.close()
    assert not opened.problems, "\n".join(opened.problems)
