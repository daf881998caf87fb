"""The command line with the user's own data: check, import, split."""

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A CSV of 12 rock salts, with parts, and a home of its own."""
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
    lines = ["id,path,gap,part"]
    for i, (metal, anion) in enumerate([(m, x) for m in ("Li", "Na", "K") for x in ("F", "Cl")] * 2):
        write(tmp_path / f"s{i}.cif", bulk(f"{metal}{anion}", "rocksalt", a=5 + 0.05 * i))
        lines.append(f"s{i},s{i}.cif,{i / 10},{('train', 'train', 'val', 'test')[i % 4]}")
    path = tmp_path / "salts.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_check_writes_nothing(ok, refused, table, tmp_path):
    report = json.loads(ok("tasks", "import", table, "--target", "gap", "--unit", "eV", "--check", "--json"))
    assert (report["written"], report["n_accepted"]) == (False, 12)
    assert "nothing was written" in ok("tasks", "import", table, "--target", "gap", "--check", "-q")
    assert not (tmp_path / "home" / "data").exists()
    assert "no task called 'salts'" in refused("tasks", "split", "salts")


def test_splits_from_a_column_by_fractions_and_back(ok, refused, table):
    ok("tasks", "import", table, "--target", "gap", "--split-column", "part", "-q")
    from moma_app.tasks import get_task

    assert get_task("salts").split(0).test.tolist() == [3, 7, 11]
    printed = ok("tasks", "split", "salts", "--fractions", "0.5,0.25,0.25", "--group", "formula")
    assert "split 4: 6 train" in printed
    split = get_task("salts").split(1)
    assert np.array_equal(np.sort(split.test % 6), np.repeat(np.unique(split.test % 6), 2))
    held = json.loads(ok("tasks", "split", "salts", "--hold-out", "K", "--seeds", "2", "--json"))
    assert held["sizes"][0]["test"] == 4
    assert "at random." in ok("tasks", "split", "salts", "--random")
    assert "as before" in ok("tasks", "split", "salts", "--random")
    assert "no fractions" in refused("tasks", "split", "salts", "--fractions", "most")
    assert "catalogue" in refused("tasks", "split", "mp_phonons")
