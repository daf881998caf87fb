"""What all tests share: a home of their own, one CPU thread, the shared reference data."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
