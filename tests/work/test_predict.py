"""Predictions as runs: of a predictor's folder, of a run's predictor, of a whole hub; good files and bad ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from moma_app.config import get_settings
from moma_app.errors import InputError, UnknownNameError
from moma_app.formulas import reduced_formula
from moma_app.jobs.jobs import Jobs
from moma_app.jobs.placing import may_overtake
from moma_app.tasks import get_task
from moma_app.training.predictor import Predictor
from moma_app.work.compose import compose_spec
from moma_app.work.composing import AMC
from moma_app.work.predict import predict_spec

MADE: dict[Path, str] = {}


@pytest.fixture
def jobs():
    with Jobs(engine="inline") as jobs:
        yield jobs


@pytest.fixture
def run(jobs) -> str:
    """A finished run that made an instant predictor; one for all tests of a home."""
    home = get_settings().home
    if home not in MADE:
        spec = compose_spec(get_task("elemental_bulk_modulus"), instant=True, bare=True, device="cpu")
        MADE[home] = jobs.run(spec).run_id
    return MADE[home]


@pytest.fixture
def cifs(tmp_path) -> list[Path]:
    paths = []
    for name, crystal in (
        ("my copper.cif", bulk("Cu", a=3.6)),
        ("salt.cif", bulk("NaCl", "rocksalt", a=5.6)),
    ):
        write(tmp_path / name, crystal, format="cif")
        paths.append(tmp_path / name)
    return paths


@pytest.fixture
def bad(tmp_path) -> Path:
    path = tmp_path / "broken.cif"
    path.write_bytes(b"\xff\xfe no text")
    return path


@pytest.fixture
def curium(tmp_path) -> Path:
    write(tmp_path / "curium.cif", bulk("Cm", "fcc", a=4.9), format="cif")
    return tmp_path / "curium.cif"


def test_a_run_predicts_what_the_predictor_does(jobs, run, cifs):
    outcome = jobs.run(predict_spec(cifs, run=run, device="cpu"))
    assert outcome.state == "finished", outcome.message
    rows, shown = outcome.result["rows"], outcome.result["structures"]
    assert [row["file"] for row in rows] == ["my copper.cif", "salt.cif"]
    assert [(row["formula"], row["n_atoms"]) for row in rows] == [("Cu", 1), ("NaCl", 2)]
    assert all(row["unit"] == "log10(GPa)" and row["std"] > 0 and row["module"] == "" for row in rows)
    folder = jobs.store.locate(run, "predictor", Path("/nowhere"))
    predictor = Predictor.load(folder)
    assert {row["test_mae"] for row in rows} == {predictor.info.metrics["mae"]}
    direct = predictor.predict([bulk("Cu", a=3.6), bulk("NaCl", "rocksalt", a=5.6)], device="cpu")
    assert [row["value"] for row in rows] == pytest.approx(direct.values.tolist(), rel=1e-5)
    assert [reduced_formula(structure["numbers"]) for structure in shown] == ["Cu", "NaCl"]
    assert [row["structure"] for row in rows] == [0, 1]
    again = jobs.run(predict_spec(cifs, predictor=folder, device="cpu"))
    assert again.result["rows"] == rows
    assert outcome.result["metrics"] == {"structures": 2, "refused": 0}


def test_bad_files_are_told_and_the_others_predicted(jobs, run, cifs, bad, curium):
    paths = [bad, cifs[0], curium, cifs[1], curium]
    outcome = jobs.run(predict_spec(paths, run=run, device="cpu"))
    assert [row["file"] for row in outcome.result["rows"]] == ["my copper.cif", "salt.cif"]
    assert [refused["file"] for refused in outcome.result["refused"]] == [
        "broken.cif",
        "curium.cif",
        "curium.cif",
    ]
    reasons = [refused["reason"] for refused in outcome.result["refused"]]
    assert reasons[0] == "it is no text file"
    assert "does not know the element Cm" in reasons[1]
    alone = [jobs.run(predict_spec([path], run=run, device="cpu")) for path in cifs]
    assert [o.result["rows"][0]["value"] for o in alone] == pytest.approx(
        [row["value"] for row in outcome.result["rows"]], rel=1e-5
    )


@pytest.mark.parametrize("which", ["bad", "curium"])
def test_or_they_are_the_end_if_nothing_may_be_left_out(jobs, run, cifs, which, request):
    path = request.getfixturevalue(which)
    outcome = jobs.run(predict_spec([cifs[0], path], run=run, skip_bad=False, device="cpu"))
    assert outcome.state == "failed"
    assert outcome.message.startswith(f"{path.name}: ")
    assert outcome.message.endswith("; nothing was predicted.")


def test_nothing_usable_is_an_answer_too(jobs, run, bad):
    outcome = jobs.run(predict_spec([bad], run=run, device="cpu"))
    assert outcome.state == "finished"
    assert (outcome.result["rows"], outcome.result["structures"]) == ([], [])
    assert len(outcome.result["refused"]) == 1


def test_the_whole_hub_predicts_each_its_own(jobs, cifs, curium):
    spec = predict_spec([*cifs, curium], hub="builtin", modules=["mp_kvrh", "castelli_eform"], device="cpu")
    outcome = jobs.run(spec)
    rows = outcome.result["rows"]
    assert [(row["file"], row["module"], row["unit"], row["structure"]) for row in rows] == [
        ("my copper.cif", "mp_kvrh", "log10(GPa)", 0),
        ("my copper.cif", "castelli_eform", "eV", 0),
        ("salt.cif", "mp_kvrh", "log10(GPa)", 1),
        ("salt.cif", "castelli_eform", "eV", 1),
    ]
    assert all(row["test_mae"] > 0 and row["std"] is None for row in rows)
    assert [refused["file"] for refused in outcome.result["refused"]] == ["curium.cif"]


def test_a_table_with_a_column_of_structures(jobs, run, cifs, tmp_path):
    table = tmp_path / "many.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["material_id", "structure", "remark"])
        writer.writerow(["a", cifs[0].read_text(), "x"])
        writer.writerow(["b", "no structure", ""])
        writer.writerow(["c", cifs[1].read_text(), ""])
    from pymatgen.core import Structure

    lines = tmp_path / "one.jsonl"
    lines.write_text(json.dumps({"structure": Structure.from_file(cifs[1]).as_dict()}) + "\n")
    outcome = jobs.run(predict_spec([table, lines], run=run, device="cpu"))
    assert [row["file"] for row in outcome.result["rows"]] == ["many.csv#a", "many.csv#c", "one.jsonl"]
    assert [refused["file"] for refused in outcome.result["refused"]] == ["many.csv#b"]
    assert [row["formula"] for row in outcome.result["rows"]] == ["Cu", "NaCl", "NaCl"]
    empty = tmp_path / "other.csv"
    empty.write_text("a,b\n1,2\n")
    (refused,) = jobs.run(predict_spec([empty], run=run, device="cpu")).result["refused"]
    assert "has no column of structures" in refused["reason"]


def test_names_are_labels_and_never_paths(jobs, run, cifs):
    name = "../../etc/<b>passwd</b>.cif"
    spec = predict_spec([cifs[0]], labels=[name], run=run, device="cpu")
    assert next(iter(spec.files)) == "structures/0.cif"
    assert jobs.run(spec).result["rows"][0]["file"] == name
    with pytest.raises(InputError, match="2 labels were given for 1 files"):
        predict_spec([cifs[0]], labels=["a", "b"], run=run)


def test_a_prediction_goes_before_other_runs(run, cifs):
    spec = predict_spec(cifs, run=run, device="cpu")
    assert spec.priority > compose_spec(get_task("elemental_bulk_modulus"), amc=AMC("builtin")).priority
    assert may_overtake(spec.needs)
    assert not may_overtake(predict_spec(cifs, run=run, device="cuda").needs)


def test_equal_work_is_known_by_content(run, cifs, tmp_path):
    copy = tmp_path / "elsewhere" / cifs[0].name
    copy.parent.mkdir()
    copy.write_bytes(cifs[0].read_bytes())
    assert predict_spec([copy], run=run).digest == predict_spec([cifs[0]], run=run).digest
    assert predict_spec([cifs[1]], run=run).digest != predict_spec([cifs[0]], run=run).digest


class TestRefusedBeforeItBegins:
    def test_no_such_file(self, run, tmp_path):
        with pytest.raises(InputError, match="There is no file"):
            predict_spec([tmp_path / "none.cif"], run=run)

    def test_no_files(self, run):
        with pytest.raises(InputError, match="give at least one file"):
            predict_spec([], run=run)

    def test_no_predictor(self, cifs, tmp_path):
        with pytest.raises(InputError, match="is no predictor"):
            predict_spec(cifs, predictor=tmp_path)

    def test_both(self, cifs, run, tmp_path):
        with pytest.raises(InputError, match="not both"):
            predict_spec(cifs, predictor=tmp_path, run=run)

    def test_no_such_run_or_one_without_a_predictor(self, jobs, cifs, run):
        with pytest.raises(UnknownNameError, match="no run"):
            predict_spec(cifs, run="ffffffff")
        other = jobs.run(predict_spec([cifs[0]], run=run, device="cpu")).run_id
        with pytest.raises(InputError, match="made no predictor"):
            predict_spec(cifs, run=other)

    def test_an_unknown_module(self, cifs):
        with pytest.raises(UnknownNameError, match="did you mean mp_kvrh"):
            predict_spec(cifs, hub="builtin", modules=["mp_kvr"])
