"""``moma lab``: what it opens, what it copies, what it leaves alone, what it says without JupyterLab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from moma_app.errors import InputError
from moma_app.lab.notebooks import FIRST, RECORD, copy_notebooks, in_repository, originals
from moma_app.lab.server import arguments
from moma_app.lab.strip import main as strip
from moma_app.lab.strip import stripped

ROOT = Path(__file__).parents[2]


def moma(*given: object, cwd: Path, code: str = "", path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    program = f"{code}\nfrom moma_app.cli import main\nmain({[str(each) for each in given]!r})"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_says_what_it_does(tmp_path):
    done = moma("lab", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("JupyterLab", "--port", "--no-browser", "--copy-only", "moma-notebooks"):
        assert word in done.stdout


def test_without_jupyterlab_it_says_what_to_install(tmp_path):
    done = moma("lab", "--no-browser", cwd=tmp_path, code="import sys; sys.modules['jupyterlab'] = None")
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: JupyterLab is not installed: pip install 'moma-app[lab]'."
    assert list(tmp_path.iterdir()) == []


def test_in_the_repository_the_notebooks_themselves_are_opened():
    assert in_repository() == ROOT / "notebooks"
    assert originals()[0].name == FIRST
    assert len(originals()) == 7


def test_copies_keep_what_was_changed_and_take_what_is_newer(tmp_path):
    folder = tmp_path / "mine"
    first = copy_notebooks(folder)
    assert list(first.written) == [path.name for path in originals()]
    assert copy_notebooks(folder).written == ()

    changed, older, removed = (folder / path.name for path in originals()[:3])
    changed.write_text(changed.read_text() + " ")
    older.write_text("{}")  # as an older package had it: nobody has touched it since it was copied
    record = json.loads((folder / RECORD).read_text())
    record[older.name] = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    (folder / RECORD).write_text(json.dumps(record))
    removed.unlink()
    again = copy_notebooks(folder)
    assert again.written == (older.name, removed.name)
    assert again.kept == (changed.name,)
    assert changed.read_text().endswith(" ")
    assert older.read_text() == originals()[1].read_text()
    assert copy_notebooks(folder).kept == (changed.name,)


def test_without_a_record_all_that_differs_is_kept(tmp_path):
    (tmp_path / FIRST).write_text("mine")
    (tmp_path / RECORD).write_text("not JSON")
    assert copy_notebooks(tmp_path).kept == (FIRST,)
    assert (tmp_path / FIRST).read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be copied"):
        copy_notebooks(tmp_path / "file")


def test_copies_are_told_of(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / FIRST).write_text("mine")
    done = moma("lab", "here", "--copy-only", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "02_amc_step_by_step.ipynb" in done.stdout
    assert f"because they were changed there: {FIRST}" in " ".join(done.stderr.split())


def test_jupyterlab_is_told_folder_port_and_first_notebook(tmp_path):
    given = arguments(tmp_path, port=9999, browser=False)
    assert f"--ServerApp.root_dir={tmp_path}" in given
    assert f"--LabApp.default_url=/lab/tree/{FIRST}" in given
    assert "--ServerApp.port=9999" in given
    assert "--no-browser" in given
    assert not any(
        "port=" in each or "browser" in each for each in arguments(tmp_path, port=None, browser=True)
    )


@pytest.mark.skipif(find_spec("setuptools") is None, reason="needs setuptools")
def test_a_wheel_brings_the_notebooks(tmp_path):
    """Built from a small tree with the project's own ``setup.py`` and ``pyproject.toml``."""
    source, built = tmp_path / "source", tmp_path / "built"
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "notebooks", source / "notebooks")
    for room in ("lab", "cli", "config", "hub"):
        shutil.copytree(
            ROOT / "moma_app" / room, source / "moma_app" / room, ignore=shutil.ignore_patterns("builtin")
        )
    for file in (ROOT / "moma_app").glob("*.py"):
        shutil.copy(file, source / "moma_app" / file.name)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(built)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    packaged = sorted(path.name for path in (built / "moma_app" / "notebooks").iterdir())
    assert packaged == [path.name for path in originals()]
    shutil.rmtree(source)
    code = "import sys; sys.path[:] = [p for p in sys.path if p not in ('', '.')]"
    copied = moma("lab", "--copy-only", cwd=tmp_path, code=code, path=built)
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "moma-notebooks" / FIRST).read_text() == originals()[0].read_text()


def test_stripping_removes_outputs_and_nothing_else(tmp_path, capsys):
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {"trusted": True}, "source": ["# T"]},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"tags": ["slow"], "collapsed": False},
            "source": ["1"],
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "1"}],
            "execution_count": 3,
        },
    ]
    path = tmp_path / "n.ipynb"
    path.write_text(
        json.dumps({"cells": cells, "metadata": {"widgets": {}}, "nbformat": 4, "nbformat_minor": 5})
    )
    assert strip(["--check", str(path)]) == 1
    assert "has outputs" in capsys.readouterr().out
    assert strip([str(path)]) == 0
    assert strip(["--check", str(path)]) == 0
    clean = json.loads(path.read_text())
    assert [cell["source"] for cell in clean["cells"]] == [["# T"], ["1"]]
    assert clean["cells"][1]["outputs"] == []
    assert clean["cells"][1]["execution_count"] is None
    assert clean["cells"][1]["metadata"] == {"tags": ["slow"]}
    assert "widgets" not in clean["metadata"]
    assert stripped(path.read_text()) == path.read_text()


def test_stripping_says_what_is_no_notebook(tmp_path, capsys):
    path = tmp_path / "n.ipynb"
    path.write_text("[]")
    assert strip([str(path)]) == 1
    assert "is no Jupyter notebook" in capsys.readouterr().err
    assert strip([str(tmp_path / "absent.ipynb")]) == 1
