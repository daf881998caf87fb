"""A dashboard of its own for the tests: a real server process, real workers, the system's Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
START = 90.0
SLOW = 60_000
"""Milliseconds that anything on a page may take on a busy machine."""


@dataclass
class Dashboard:
    """A running server.

    Attributes:
        url: without a slash at its end.
        home: its MOMA_HOME.
    """

    url: str
    home: Path
    process: subprocess.Popen[str]
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def restart(self) -> None:
        """Start it anew at the same port."""
        again = start(self.home, "--port", str(self.port), *self.options, **self.environment)
        self.process = again.process


def start(home: Path, *options: str, **environment: str) -> Dashboard:
    """Start a server as a user does, and wait until it listens."""
    chosen = options if "--port" in options else ("--port", "0", *options)
    home.mkdir(parents=True, exist_ok=True)
    log = (home / "dashboard.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "moma_app", "dashboard", "--no-browser", *chosen],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "MOMA_HOME": str(home), "MOMA_ENGINE": "local", "MOMA_DATA": "", **environment},
        cwd=home,
    )
    deadline = time.monotonic() + START
    assert process.stdout is not None
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if found := re.search(r"http://[\w.\[\]:]+:\d+", line):
            return Dashboard(found.group(0), home, process, options, environment)
        if process.poll() is not None:
            break
    process.kill()
    pytest.fail(f"The dashboard did not start: {(home / 'dashboard.log').read_text()[-2000:]}")


def stop(server: Dashboard) -> None:
    """End a server and the workers of its home."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGINT)
        try:
            server.process.wait(15)
        except subprocess.TimeoutExpired:
            server.process.kill()
    subprocess.run(
        [sys.executable, "-m", "moma_app", "workers", "stop"],
        env={**os.environ, "MOMA_HOME": str(server.home), "MOMA_ENGINE": "local"},
        capture_output=True,
        check=False,
        timeout=60,
    )


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
        context = self._chromium.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
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

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def tabs(chromium, dashboard) -> Iterator[Tabs]:
    """Tabs on the shared server; the test fails if one of them complained."""
    opened = Tabs(chromium, dashboard)
    yield opened
    opened.close()
    assert not opened.problems, "\n".join(opened.problems)
