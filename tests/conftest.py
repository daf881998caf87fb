"""What all tests share: a home of their own, one CPU thread, the shared reference data."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import CHROMIUM, FLAGS, SLOW, TIMEOUT

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items):
    """Give tests in the browser their time."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    """Keep every test away from the user's folders; graphs are shared within a session."""
    monkeypatch.setenv("MOMA_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    monkeypatch.setenv("MOMA_ENGINE", "inline")  # tests of the workers ask for them
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "configuration"))
    for name in ("MOMA_DATA", "MOMA_HUB", "MOMA_CONFIG", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Two test processes with two threads each would wait for one another on two cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _keep_denormals():
    """``runtime.prepare`` flushes denormal numbers to zero, and hypothesis then draws no floats."""
    import torch

    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference data beside the project; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data is absent: there is no folder {SHARED}")
    return SHARED


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
