"""Every notebook runs from top to bottom, offline and on data that comes with the package, and shows its figures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from running import NOTEBOOKS, drawn, execute

from moma_app.lab.strip import strip_files

pytest.importorskip("nbclient", reason="needs nbclient and JupyterLab: pip install -e '.[test]'")
ROOT = Path(__file__).parents[2]
LONGEST = 180
"""Seconds of processor time. On two free cores no notebook takes as long as that by the clock."""
SHOWN = {
    "01_quickstart": (4, 3),
    "02_amc_step_by_step": (2, 0),
    "03_materials_insights": (2, 1),
    "04_few_shot_and_ablations": (2, 0),
    "05_grow_the_hub": (3, 1),
    "06_own_backbone": (2, 0),
    "07_screening": (1, 1),
}
"""Figures and widgets that each has at least."""


def ids(path: Path) -> str:
    return path.stem


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A home of the notebook's own, nothing to fetch, this tree's package."""
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # whoever asks the network is refused at once
    return tmp_path


def test_all_notebooks_are_known():
    assert [path.stem for path in NOTEBOOKS] == list(SHOWN)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_runs_and_shows_its_figures(path, surroundings):
    done = execute(path, surroundings)
    assert "Traceback" not in done.text("stderr")
    assert done.seconds < LONGEST
    figures, widgets = SHOWN[path.stem]
    documents = done.figures()
    assert len(documents) >= figures
    for document in documents:
        assert drawn(document) > 0
    stills = done.widgets()
    assert len(stills) >= widgets
    for still in stills:
        assert "<svg" in still or "<table" in still
        assert "Traceback" not in still


@pytest.mark.timeout(1800)
def test_insights_compare_with_the_published_weights_where_they_are(shared, surroundings, monkeypatch):
    monkeypatch.setenv("MOMA_DATA", str(shared / "data"))
    (path,) = [each for each in NOTEBOOKS if each.stem == "03_materials_insights"]
    done = execute(path, surroundings)
    assert len(done.widgets()) == 2
    assert "fetch-published" not in done.text("stdout")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_is_stored_without_outputs(path):
    assert strip_files([path], check=True) == [], f"run: python -m moma_app.lab.strip {path}"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_begins_with_its_title_and_ends_with_its_limits(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert "".join(cells[0]["source"]).startswith("# ")
    assert cells[-1]["cell_type"] == "markdown"
    assert "###" in "".join(cells[-1]["source"])
