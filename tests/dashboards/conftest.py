"""The tests' dashboard and browser; a test fails if its tabs complain or ask for anything outside this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsing import Tabs
from serving import CHROMIUM, FLAGS, SLOW, Dashboard, start, stop

TIMEOUT = 900
"""Seconds for a whole path through a page on a busy machine; without a browser 300 are enough."""


def pytest_collection_modifyitems(items):
    """Give tests in the browser their time."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


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
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


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

    A test that failed leaves pictures of its tabs in its folder under pytest's ``--basetemp``, and their
    content among what pytest prints.
    """
    opened = Tabs(chromium, dashboard)
    yield opened
    if getattr(request.node, "failed", False):
        print(opened.photograph(tmp_path))  # noqa: T201 - pytest shows it with the failure
    opened.close()
    assert not opened.problems, "\n".join(opened.problems)
