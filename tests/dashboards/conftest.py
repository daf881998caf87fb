"""The tests' dashboard and browser; a test fails if its tabs complain or ask for anything outside this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsing import Tabs
from serving import Dashboard, start, stop


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory) -> Iterator[Dashboard]:
    """The server that the tests of this process share."""
    server = start(tmp_path_factory.mktemp("dashboard"))
    yield server
    stop(server)


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
