"""Real workers for the tests: units as an installed package, local workers of a home of their own."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from moma_app.config import get_settings
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.registry import get_unit
from moma_app.jobs.service import find_service, stop_service
from moma_app.jobs.spec import RunSpec

UNITS = (
    "nap",
    "deaf",
    "break_",
    "die",
    "many",
    "where",
    "spread",
    "threads",
    "publish",
    "ranks",
    "many_slow",
)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    """Install the test units: any package can add units by entry points."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copy(Path(__file__).with_name("units.py"), folder / "moma_test_units.py")
    metadata = folder / "moma_test_units-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: moma_test_units\nVersion: 1.0\n")
    lines = [f"test-{name.strip('_')} = moma_test_units:{name}" for name in UNITS]
    (metadata / "entry_points.txt").write_text("\n".join(["[moma_app.units]", *lines]) + "\n")
    return folder


@pytest.fixture
def units(plugin, monkeypatch):
    """Let this process and those it starts find the test units."""
    paths = [str(plugin), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.syspath_prepend(str(plugin))
    importlib.invalidate_caches()
    get_unit.cache_clear()
    yield
    sys.modules.pop("moma_test_units", None)
    get_unit.cache_clear()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A ``MOMA_HOME`` of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MOMA_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def workers_home(tmp_path_factory) -> Path:
    """Home of the local workers that a test process shares; they are stopped at its end."""
    folder = tmp_path_factory.mktemp("workers")
    yield folder
    os.environ["MOMA_HOME"] = str(folder)
    if (service := find_service(get_settings())) is not None:
        stop_service(service)


@pytest.fixture
def inline(home, units):
    """The job layer, inline."""
    with Jobs(engine="inline") as jobs:
        yield jobs


@pytest.fixture
def local(workers_home, units, monkeypatch):
    """The job layer on local workers, which are shared by the tests of a process."""
    monkeypatch.setenv("MOMA_HOME", str(workers_home))
    monkeypatch.setenv("MOMA_ENGINE", "local")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with Jobs() as jobs:
        yield jobs


@pytest.fixture
def nap():
    """Describe a unit that counts."""

    def spec(steps: int = 5, **arguments) -> RunSpec:
        return RunSpec("test-nap", {"steps": steps, **arguments}, name=f"{steps} naps", task="sleep")

    return spec
