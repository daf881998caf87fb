"""The command line as a user meets it: answers, exit codes, one sentence for every mistake."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from moma_app.hub import Hub
from moma_app.hub.places import BUILTIN

TASK = "elemental_bulk_modulus"


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    monkeypatch.setenv("MOMA_DEVICE", "cpu")


@pytest.fixture
def cif(tmp_path):
    path = tmp_path / "copper oxide.cif"
    write(path, bulk("CuO", "rocksalt", a=4.25), format="cif")
    return path


def test_tasks_are_listed_and_shown(ok):
    rows = json.loads(ok("tasks", "list", "--json"))
    names = {row["name"] for row in rows}
    assert {"mp_phonons", "qm9_mu", TASK} <= names
    assert [row["name"] for row in json.loads(ok("tasks", "list", "--available", "--json"))] == [TASK]
    assert json.loads(ok("tasks", "show", TASK, "--json"))["data"]["rows"] == 71
    assert "log10(GPa)" in ok("tasks", "show", TASK)


def test_a_mistyped_task_gets_a_suggestion(refused):
    assert "did you mean mp_phonons" in refused("compose", "mp_phonon")


def test_data_that_is_not_here_says_where_to_get_it(refused):
    message = refused("compose", "mp_phonons")
    assert "moma tasks fetch mp_phonons" in message
    assert "MOMA_DATA" in message


def test_the_builtin_hub_is_sound_and_its_cards_keep_their_promise(ok):
    assert json.loads(ok("hub", "verify", "--hub", "builtin", "--json"))["damaged"] == {}
    rows = json.loads(ok("hub", "list", "--hub", "builtin", "--json"))
    assert {"mp_kvrh", "mp_gvrh", "castelli_eform", "mp_bandgap"} <= {row["name"] for row in rows}
    assert all(row["mae_over_mad"] < 0.6 for row in rows if row["mae_over_mad"] is not None)
    card = json.loads(ok("hub", "show", "mp_kvrh", "--json"))
    assert card["hardware"]["peak_memory_mb"] > 0
    assert "MAE/MAD" in ok("hub", "show", "mp_kvrh")


def test_the_hub_predicts_with_units(ok, cif):
    rows = json.loads(ok("hub", "predict", cif, "--hub", "builtin", "--json"))
    values = {row["module"]: (row["value"], row["unit"]) for row in rows}
    bulk_modulus, unit = values["mp_kvrh"]
    assert unit == "log10(GPa)"
    assert 1.5 < bulk_modulus < 2.6
    assert "copper oxide.cif" in ok("hub", "predict", cif, "--hub", "builtin", "-m", "mp_kvrh")


def test_compose_and_predict(ok, cif, tmp_path):
    result = json.loads(ok("compose", TASK, "--json", "--quiet", "--instant", "-o", tmp_path / "instant"))
    weights = {score["module"]: score["weight"] for score in result["modules"]}
    assert sum(weights.values()) == pytest.approx(1)
    assert result["split_origin"] == "random"
    assert len(result["train_ids"]) == 49
    assert result["instant"]["metrics"]["n"] == 11
    table = tmp_path / "out.csv"
    ok("predict", tmp_path / "instant", cif, "-o", table)
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row["formula"] == "CuO"
    assert np.isfinite(float(row["prediction"]))
    assert float(row["std"]) > 0
    assert row["unit"] == "log10(GPa)"
    (run,) = (r for r in json.loads(ok("runs", "list", "--unit", "compose", "--limit", 1, "--json")))
    (same,) = json.loads(ok("predict", run["id"][:8], cif, "--json", "--quiet"))
    assert same["prediction"] == pytest.approx(float(row["prediction"]))
    assert set(same) == {"file", "formula", "property", "prediction", "std", "unit", "note"}


def test_compose_prints_the_table_and_writes_figures(ok, tmp_path):
    plot, save = tmp_path / "figures" / "out.html", tmp_path / "result.json"
    text = ok("compose", TASK, "--plot", plot, "--save", save, "-m", "mp_kvrh", "-m", "mp_gvrh")
    assert "proxy MAE (log10(GPa))" in text
    assert "<html" in plot.read_text()
    assert len(json.loads(save.read_text())["modules"]) == 2


def test_finetune_starts_and_report(ok, refused, tmp_path):
    common = [TASK, "--epochs", 1, "--quiet"]
    report = tmp_path / "report.html"
    composed = json.loads(ok("finetune", *common, "--json", "--report", report, "-m", "mp_kvrh"))
    assert composed["composition"]["modules"][0]["weight"] == 1
    assert len(composed["curve"]["epoch"]) == 1
    assert "<html" in report.read_text()
    single = json.loads(ok("finetune", *common, "--json", "--from", "mp_kvrh"))
    assert single["metrics"]["mae"] == pytest.approx(
        composed["metrics"]["mae"], rel=1e-5
    )  # weight 1 is the module
    folder = tmp_path / "bare"
    assert "Bare backbone" in ok("finetune", *common, "--from", "backbone", "-o", folder)
    assert "exists already" in refused("finetune", *common, "--from", "backbone", "-o", folder)
    assert "did you mean mp_kvrh" in refused("finetune", *common, "--from", "mp_kvr")


def test_own_data_from_import_to_composition(ok, refused, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    rows = []
    for number, symbol in enumerate(["Al", "Cu", "Ni", "Pd", "Pt", "Ag", "Au", "Pb", "Rh", "Ir", "Ca", "Sr"]):
        write(folder / f"{symbol}.cif", bulk(symbol, "fcc", a=3.6 + 0.1 * number), format="cif")
        rows.append(f"{symbol},{50 + 10 * number}")
    (folder / "broken.cif").write_text("data_x\n_cell_length_a  what")
    (folder / "id_prop.csv").write_text("\n".join([*rows, "broken,3"]) + "\n")
    code_before = refused("tasks", "import", folder, "--unit", "GPa", "--name", "mine", "--strict")
    assert "broken" in code_before or "refused" in code_before
    text = ok("tasks", "import", folder, "--unit", "GPa", "--name", "mine", "--transform", "log10")
    assert "12 of 13 rows taken" in text
    result = json.loads(ok("compose", "mine", "--json", "--quiet", "--k", 3, "-m", "mp_kvrh"))
    assert result["unit"] == "log10(GPa)"
    assert "K = 50 neighbours need" in refused("compose", "mine", "--k", 50)
    assert "shots" in refused("compose", "mine", "--shots", 500)


def test_train_adapter_export_add_remove_push_pull(ok, refused, tmp_path):
    hub = tmp_path / "hub"
    args = ["hub", "train", TASK, "--hub", hub, "--epochs", 1, "--quiet"]
    assert "MAE/MAD" in ok(*args, "--kind", "adapter", "--name", "mine")
    assert "already has a module 'mine'" in refused(*args, "--kind", "adapter", "--name", "mine")
    ok("hub", "export", "mine", tmp_path / "out", "--hub", hub)
    (file,) = (tmp_path / "out").glob("*.safetensors")
    ok("hub", "remove", "mine", "--hub", hub)
    assert list(Hub(hub)) == []
    ok("hub", "add", file, "--hub", hub)
    assert list(Hub(hub)) == ["mine"]
    ok("hub", "push", f"file:{tmp_path / 'shared hub'}", "--hub", hub)
    ok("hub", "remove", "mine", "--hub", hub)
    assert "Pulled 1 modules: mine" in ok("hub", "pull", f"file:{tmp_path / 'shared hub'}", "--hub", hub)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert "SHA-256" in refused("hub", "add", file, "--hub", hub, "--overwrite")


def test_the_builtin_modules_stay(refused):
    assert "read only" in refused("hub", "remove", "mp_kvrh")
    assert (BUILTIN / "mp_kvrh.json").is_file()


def test_bad_structure_files_are_named_and_nothing_is_written(ok, refused, cif, tmp_path):
    bad = tmp_path / "bad.cif"
    bad.write_bytes(b"\xff\xfe\x00garbage")
    assert "bad.cif" in refused("hub", "predict", cif, bad)
    left = ok("hub", "predict", cif, bad, "--skip-bad", "-m", "mp_kvrh", "--hub", "builtin", "--json")
    assert [row["file"] for row in json.loads(left)] == [cif.name]
    assert "None of the files" in refused("hub", "predict", bad, "--skip-bad", "--hub", "builtin")
    assert "There is no file" in refused("hub", "predict", tmp_path / "none.cif")
    ok("compose", TASK, "--instant", "--bare", "-o", tmp_path / "p", "--quiet")
    out = tmp_path / "out.csv"
    assert "nothing was predicted" in refused("predict", tmp_path / "p", cif, bad, "-o", out)
    assert not out.exists()
    ok("predict", tmp_path / "p", cif, bad, "-o", out, "--skip-bad")
    assert len(out.read_text().splitlines()) == 2


def test_an_element_nobody_knows_is_named_with_its_file(refused, cif, tmp_path):
    curium = tmp_path / "curium.cif"
    write(curium, bulk("Cm", "fcc", a=4.9), format="cif")
    message = refused("hub", "predict", cif, curium, "--hub", "builtin")
    assert message.startswith("curium.cif: ")
    assert "does not know the element Cm" in message


def test_wrong_usage_exits_with_two():
    done = subprocess.run(
        [sys.executable, "-m", "moma_app", "compose"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m moma_app tasks list | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_an_interrupted_fit_says_so_and_goes_on(tmp_path):
    """Ctrl-C after the second epoch; the same command with --resume starts with the next one."""
    command = [sys.executable, "-m", "moma_app", "finetune", TASK, "--from", "backbone", "--epochs", "12"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MOMA_DEVICE": "cpu"}
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, env=environment, stderr=stream, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while "epoch 2/12" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert log.read_text().splitlines()[-1].startswith("Stopped.")
    done = log.read_text().count("epoch ")
    again = subprocess.run(
        [*command, "--resume"], env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    first = next(line for line in again.stderr.splitlines() if line.startswith("epoch "))
    assert first.startswith(f"epoch {done + 1}/12")


def test_demo_end_to_end(ok, tmp_path, monkeypatch):
    """All of the main job, with fewer epochs than `make demo` has."""
    from moma_app.training import recipe

    short = recipe.load_recipe("finetune").with_fit(epochs=2)
    monkeypatch.setattr(recipe, "load_recipe", lambda _: short)
    text = ok("demo", "-o", tmp_path / "demo")
    assert "Composed against bare backbone" in text
    assert "mp_kvrh" in text
    report = (tmp_path / "demo" / "report.html").read_text()
    assert "mp_kvrh" in report
    assert (tmp_path / "demo" / f"{TASK}-composed" / "predictor.json").is_file()
