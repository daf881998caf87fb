"""docs/python.md says what works: its examples are run from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import moma_app
from moma_app.tasks import get_task

PAGE = Path(moma_app.__file__).parents[1] / "docs" / "python.md"
SMALLEST = 40


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the page speaks of: CIF files, a table, candidates."""
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    data = get_task("elemental_bulk_modulus").load()
    small = data.take(np.argsort(data.structures.n_atoms, kind="stable")[:SMALLEST])
    for name in ("cifs", "candidates"):
        (tmp_path / name).mkdir()
    files = [f"{name}.cif" for name in small.ids]
    for number, (file, crystal) in enumerate(zip(files, small.structures, strict=True)):
        text = crystal.to_pymatgen().to(fmt="cif")
        (tmp_path / "cifs" / file).write_text(text)
        if number < 3:
            (tmp_path / "candidates" / file).write_text(text)
    table = pd.DataFrame({"file": files, "bulk_modulus": 10**small.targets})
    table.to_csv(tmp_path / "moduli.csv", index=False)
    return tmp_path


def test_examples_of_the_page(folder):
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, object] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{PAGE.name}, example {number + 1}", "exec"), names)
    ranking = names["ranking"]
    assert ranking.columns.tolist() == [
        "structure",
        "formula",
        "n_atoms",
        "property",
        "prediction",
        "std",
        "unit",
        "test_mae",
    ]
    assert ranking["prediction"].is_monotonic_decreasing
    assert (ranking["std"] > 0).all()
    assert ranking["unit"].unique().tolist() == ["log10(GPa)"]
    assert ranking.attrs == {"property": "my moduli", "unit": "log10(GPa)"}
    assert set(ranking["structure"]) == {path.name for path in (folder / "candidates").iterdir()}
    assert sum(composition_weights(names)) == pytest.approx(1)
    for shown in ("task", "composition", "report", "predictor", "hub"):
        assert names[shown]._repr_html_().startswith('<div class="moma">')
        assert len(repr(names[shown])) < 200


def composition_weights(names):
    return names["composition"].to_dataframe()["weight"]
