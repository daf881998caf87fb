"""The tab key lists tasks and modules, and starting is cheap."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest
import shown_objects

import moma_app
from moma_app import tasks
from moma_app.tasks import get_task, store

interactiveshell = pytest.importorskip(
    "IPython.core.interactiveshell", reason="IPython is not installed here"
)


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """What the tab key offers at the end of a line, in a shell without anybody's history or settings."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    from traitlets.config import Config

    def offered(line: str, jedi: bool = False, **names) -> set[str]:
        config = Config()
        config.HistoryManager.enabled = False
        shell = interactiveshell.InteractiveShell(config=config, user_ns=dict(names))
        shell.Completer.use_jedi = jedi
        return {found.text.lstrip(".") for found in shell.Completer.completions(line, len(line))}

    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():  # IPython calls its own completions provisional, and warns of it
        yield offered


@pytest.mark.parametrize("jedi", [False, True])
def test_tab_lists_tasks(complete, jedi):
    found = complete("tasks.mp_", jedi, tasks=tasks)
    assert {"mp_phonons", "mp_kvrh"} <= {name.split(".")[-1] for name in found}


def test_tab_lists_own_tasks(complete, tmp_path, monkeypatch):
    from moma_app.tasks import Task

    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
    crystals = [shown_objects.crystal(a=4 + i / 10) for i in range(6)]
    Task.from_structures(crystals, range(6), name="hardness_of_mine", unit="GPa")
    assert "hardness_of_mine" in {name.split(".")[-1] for name in complete("tasks.hard", tasks=tasks)}
    assert tasks.hardness_of_mine == get_task("hardness_of_mine")


def test_tab_lists_modules(complete, tmp_path):
    hub = shown_objects.hub(tmp_path)
    assert {"mp_kvrh", "mp_gvrh"} <= {name.strip("\"'[]") for name in complete('hub["mp_', hub=hub)}


@pytest.mark.parametrize("jedi", [False, True])
def test_tab_lists_what_a_notebook_needs(complete, jedi):
    found = {name.split(".")[-1] for name in complete("moma_app.", jedi, moma_app=moma_app)}
    assert {"Hub", "compose", "predict", "tasks", "Task", "Predictor"} <= found


def test_a_task_is_an_attribute():
    assert tasks.mp_phonons == get_task("mp_phonons")


def test_an_unknown_task_names_close_ones():
    with pytest.raises(AttributeError, match="did you mean mp_phonons"):
        tasks.mp_phonon  # noqa: B018 - looking at it is the test


def test_a_task_hides_no_module_of_the_package(tmp_path, monkeypatch):
    from moma_app.tasks import Task

    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
    crystals = [shown_objects.crystal(a=4 + i / 10) for i in range(6)]
    for name in ("store", "duplicates"):
        Task.from_structures(crystals, range(6), name=name, unit="GPa")
    assert tasks.store is store
    assert "store" not in dir(tasks)
    done = run_python(
        "from moma_app.tasks import duplicates, Task; assert duplicates.__file__, duplicates",
        MOMA_HOME=str(tmp_path / "home"),
    )
    assert done.returncode == 0, done.stderr


def test_looking_for_special_names_loads_nothing():
    done = run_python(
        "import sys, moma_app, moma_app.tasks as tasks\n"
        "assert not hasattr(tasks, '_repr_html_') and not hasattr(tasks, '__wrapped__')\n"
        "assert 'pydantic' not in sys.modules and 'numpy' not in sys.modules, sorted(sys.modules)"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(set(moma_app.__all__) - {"__version__"}))
def test_top_level_names_lead_to_the_objects(name):
    found = getattr(moma_app, name)
    home = getattr(found, "__module__", None) or found.__name__
    assert home.startswith("moma_app.")
    assert name in dir(moma_app)
    if home != "moma_app.tasks":
        assert getattr(importlib.import_module(home), name) is found


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        moma_app.nothing  # noqa: B018


def test_tasks_and_hub_come_without_torch():
    done = run_python(
        "import sys\n"
        "from moma_app import AMCResult, Hub, Jobs, Task, tasks\n"
        "repr(tasks.mp_phonons), Hub.open('builtin')['mp_kvrh'], Hub.open('builtin')._repr_html_()\n"
        "tasks.mp_phonons._repr_html_()\n"
        "heavy = {'torch', 'pandas', 'pymatgen', 'mlflow', 'distributed', 'holoviews', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert done.returncode == 0, done.stderr


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
