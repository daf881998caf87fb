"""Compositions as a table that travels: what is written is what is read, and damage is named."""

from __future__ import annotations

import numpy as np
import pytest

from moma_app.errors import DamagedFileError, DataNotFoundError, InputError
from moma_app.experiments.kept import COLUMNS, OURS, our_insights, read_insights, save_insights
from moma_app.experiments.matrix import InsightMatrix
from moma_app.experiments.summary import Part, Summary


def summary(task: str, split: int, *weights: float) -> Summary:
    parts = tuple(
        Part(f"m{i}", f"property {i}", weight, 0.123456 + i + split, 0.5 + i, f"{i}" * 64)
        for i, weight in enumerate(weights)
    )
    return Summary(
        "run", task, "eV", split, None, 5, 0.2, "full", "amc", "chgnet", 0.25, parts, (), {"tasks/x": "0"}
    )


def matrix(*summaries: Summary) -> InsightMatrix:
    return InsightMatrix(
        tasks=("b, with a comma", "a"),
        modules=("m0", "m1"),
        splits=(0, 1),
        trained_on={"m0": "property 0", "m1": "property 1"},
        units={"b, with a comma": "eV", "a": "eV"},
        compositions={(each.task, each.split): each for each in summaries},
    )


def test_what_is_written_is_read(tmp_path):
    written = matrix(
        summary("b, with a comma", 0, 0.25, 0.75),
        summary("b, with a comma", 1, 1.0, 0.0),
        summary("a", 1, 0.5, 0.5),
    )
    assert save_insights(written, tmp_path / "kept.csv") == 3
    found = read_insights(tmp_path / "kept.csv")
    assert (found.tasks, found.modules, found.splits) == (written.tasks, written.modules, written.splits)
    for quantity in ("weight", "proxy_mae", "proxy_mae_standardised"):
        np.testing.assert_allclose(found.array(quantity), written.array(quantity), rtol=1e-7)
    assert [(row["task"], row["module"], row["unit"]) for row in found.rows()] == [
        (row["task"], row["module"], row["unit"]) for row in written.rows()
    ]
    assert found.compositions["a", 1].objective == 0.25


def test_nothing_is_no_table(tmp_path):
    with pytest.raises(InputError, match="moma insights fill"):
        save_insights(matrix(), tmp_path / "kept.csv")
    assert not (tmp_path / "kept.csv").exists()


def test_damage_is_named(tmp_path):
    path = tmp_path / "kept.csv"
    with pytest.raises(DataNotFoundError, match="moma insights save"):
        read_insights(path)
    save_insights(matrix(summary("a", 0, 1.0)), path)
    good = path.read_text()
    for bad, said in (
        ("", "no table"),
        (",".join(COLUMNS), "no table"),
        (good + "a,eV,zero\n", "line 3"),
        (good.replace("0.25", "x"), "cannot be read"),
    ):
        path.write_text(bad)
        with pytest.raises(DamagedFileError, match=said):
            read_insights(path)


def test_the_package_s_own_table_is_sound_if_it_is_there():
    if not OURS.is_file():
        with pytest.raises(DataNotFoundError, match="moma insights fill"):
            our_insights()
        pytest.skip("this version of the package brings no compositions of its own")
    found = our_insights()
    assert found.present == len(found.tasks) * len(found.splits)
    for each in found.compositions.values():
        assert sum(part.weight for part in each.parts) == pytest.approx(1, abs=1e-4)
