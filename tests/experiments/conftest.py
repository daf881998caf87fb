"""A learner as another package would add it, quick and without networks; compositions as runs leave them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from moma_app.amc.result import AMCResult, ModuleScore
from moma_app.experiments.registry import get_learner
from moma_app.hub.hub import Hub
from moma_app.jobs.blobs import Blob
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.registry import get_unit
from moma_app.jobs.spec import RunSpec
from moma_app.structures import Crystal, StructureSet
from moma_app.tasks import store
from moma_app.tasks.data import TaskData
from moma_app.tasks.specs import TaskSpec

ENTRY_POINTS = """[moma_app.units]
test-toy = moma_test_learner:toy
[moma_app.learners]
toy = moma_test_learner:learner
wrong = moma_test_learner:toy
"""


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    """Install a package that adds a learner and its unit by entry points."""
    folder = tmp_path_factory.mktemp("learner")
    shutil.copy(Path(__file__).with_name("toy_learner.py"), folder / "moma_test_learner.py")
    metadata = folder / "moma_test_learner-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: moma_test_learner\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture
def toy(plugin, monkeypatch):
    """Let this process find the learner ``toy``."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(plugin), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(plugin))
    importlib.invalidate_caches()
    get_learner.cache_clear()
    get_unit.cache_clear()
    yield
    sys.modules.pop("moma_test_learner", None)
    get_learner.cache_clear()
    get_unit.cache_clear()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """A tracking store without runs: making its tables takes a second, copying it does not."""
    home = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOMA_HOME", str(home))
        with Jobs(engine="inline") as jobs:
            _ = jobs.store.experiment
    return home / "runs.db"


@pytest.fixture
def home(tmp_path, empty_store, monkeypatch) -> Path:
    """A ``MOMA_HOME`` of the test's own, with a store and a data folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(empty_store, folder / "runs.db")
    monkeypatch.setenv("MOMA_HOME", str(folder))
    monkeypatch.setenv("MOMA_DATA", str(tmp_path / "data"))
    return folder


@pytest.fixture
def jobs(home, toy):
    """The job layer, inline."""
    with Jobs(engine="inline") as jobs:
        yield jobs


@pytest.fixture
def make_task(tmp_path, home):
    """Write a task of so many rows to the data folder and return its name."""

    def make(name: str, rows: int = 40, **spec) -> str:
        cell = 4.0 * np.eye(3)
        crystal = Crystal(np.array([11], np.int16), cell, np.zeros((1, 3)))
        data = TaskData(
            spec=TaskSpec(name=name, role="user", property="something", unit="eV", **spec),
            ids=[f"{name}-{i}" for i in range(rows)],
            rows=np.arange(rows, dtype=np.int32),
            structures=StructureSet.from_any([crystal] * rows),
            targets=np.linspace(-1, 2, rows),
        )
        store.write_task(tmp_path / "data" / "tasks" / f"{name}.parquet", data)
        return name

    return make


@pytest.fixture
def composed(jobs):
    """Record a finished composition as a run of the unit ``compose`` leaves it."""

    def record(task, split: int, weights: dict[str, float], *, hub: str = "builtin", **changes) -> str:
        modules = Hub.open(hub)
        scores = [
            ModuleScore(
                module=name,
                task=modules[name].card.target.task,
                property="p",
                unit="u",
                weight=weight,
                proxy_mae=1.0 + split,
                proxy_mae_standardised=0.5,
                proxy_mse_standardised=0.4,
                predictions=[0.0],
                sha256=modules[name].card.sha256,
            )
            for name, weight in weights.items()
        ]
        values = {
            "task": task.name,
            "property": "p",
            "unit": "u",
            "modules": scores,
            "objective": 0.3,
            "status": "optimal",
            "k": 5,
            "temperature": 0.2,
            "split": split,
            "shots": None,
            "seed": 0,
            "split_origin": "random",
            "train_ids": ["a"],
            "train_targets": [0.0],
            "backbone": "chgnet",
            "fingerprint": "0",
            "kind": "full",
            "layers": "all",
        }
        result = AMCResult(**{**values, **changes})
        files = {place: Blob.of(path) for place, path in task.files().items()}
        run = jobs.store.create(
            RunSpec("compose", {"task": task.name, "split": split}, task=task.name, files=files)
        )
        jobs.store.facts(run, {"hub_hash": "0"})
        path = jobs.folder(run) / "composition.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(result.to_dict()))
        jobs.store.keep(run, path)
        jobs.store.change(run, "finished", ended=time.time())
        return run

    return record
