"""A hub of others through the command line: import, weights, heat map, refusal to merge, mixture."""

from __future__ import annotations

import json

import pytest
from ase.build import bulk
from ase.io import write
from module_factory import extractor_folder

from moma_app.config import get_settings
from moma_app.hub.importing import SOURCES

TASK = "elemental_bulk_modulus"
FEW = ("-m", "mp_eform", "-m", "mp_gvrh", "-m", "n_Seebeck")


@pytest.fixture(autouse=True)
def _own_home_on_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOMA_DEVICE", "cpu")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return extractor_folder(tmp_path_factory.mktemp("moe18") / "source")


@pytest.fixture
def hub(ok, source):
    ok("hub", "import", "moe18", source)


def test_importing_is_told_and_asked_in_json(ok, refused, source, tmp_path):
    text = ok("hub", "import", "moe18", source)
    assert f"Imported 18 modules to {get_settings().hubs_folder / 'moe18'}: castelli_eform, " in text
    assert "Next: moma compose TASK --hub moe18" in text
    assert "--overwrite" in refused("hub", "import", "moe18", source)
    answer = json.loads(ok("hub", "import", "moe18", source, "--hub", tmp_path / "x", "--json"))
    assert answer["hub"] == str(tmp_path / "x")
    assert len(answer["modules"]) == 18
    assert {module["backbone"] for module in answer["modules"]} == {"cgcnn"}
    assert "it has no index.json" in refused("hub", "import", "moe18", tmp_path)


def test_the_help_names_every_source(ok):
    text = " ".join(ok("hub", "import", "--help").split())
    assert all(f"{name}: " in text for name in SOURCES)


def test_the_modules_are_shown(ok, hub):
    rows = json.loads(ok("hub", "list", "--hub", "moe18", "--json"))
    assert len(rows) == 18
    assert all(row["test_mae"] is None and row["val_error"] > 0 for row in rows)
    assert "(validation)" in ok("hub", "list", "--hub", "moe18")
    assert "Other hubs here: moe18 (--hub NAME)." in ok("hub", "list")
    text = ok("hub", "show", "mp_eform", "--hub", "moe18")
    for words in ("initialisation of its own", "last-softplus", "Chang et al.", "chang2022", "MIT"):
        assert words in text
    assert json.loads(ok("hub", "verify", "--hub", "moe18", "--json"))["damaged"] == {}


def test_weights_yes_merging_no_mixture_instead(ok, refused, moma, hub, tmp_path):
    common = [TASK, "--hub", "moe18", *FEW, "--quiet"]
    result = json.loads(ok("compose", *common, "--json"))
    assert sum(module["weight"] for module in result["modules"]) == pytest.approx(1)
    assert (result["backbone"], result["fingerprint"], result["instant"]) == ("cgcnn", "", None)
    for command in (["compose", *common, "--instant"], ["finetune", *common]):
        sentence = refused(*command)
        assert "do not share an initialisation" in sentence
        assert "moma compose TASK --instant --mix" in sentence
    text = ok("compose", *common, "--instant", "--mix", "-o", tmp_path / "mixed")
    assert "Instant predictor (mixture of " in text
    cif = tmp_path / "copper.cif"
    write(cif, bulk("Cu", "fcc", a=3.6), format="cif")
    (row,) = json.loads(ok("predict", tmp_path / "mixed", cif, "--json", "--quiet"))
    assert row["unit"] == "log10(GPa)"
    assert row["std"] > 0
    assert moma("compose", *common, "--mix")[0] == 2
    assert moma("compose", *common, "--instant", "--bare", "--mix")[0] == 2


def test_what_to_do_next_is_said_only_where_merging_is_impossible(ok, hub):
    common = ["compose", TASK, "--quiet"]
    assert "--instant --mix" in ok(*common, "--hub", "moe18")
    assert "--mix" not in ok(*common, "--hub", "moe18", "-m", "mp_eform")
    assert "--mix" not in ok(*common, "--hub", "builtin")


def test_one_module_can_be_fine_tuned(ok, hub):
    command = ["finetune", TASK, "--hub", "moe18", "--from", "mp_eform", "--epochs", 1, "--quiet", "--json"]
    assert json.loads(ok(*command))["metrics"]["mae"] > 0


def test_the_heat_map_has_all_modules(ok, hub):
    options = ["--tasks", TASK, "--splits", "0,1", "--hub", "moe18"]
    filled = json.loads(ok("insights", "fill", *options, "--json", "--quiet"))
    assert filled["compositions"] == 2
    assert len({row["module"] for row in filled["rows"]}) == 18
    shown = json.loads(ok("insights", "show", *options, "--json"))
    assert shown["rows"] == filled["rows"]


def test_an_experiment_that_would_merge_is_refused_before_it_begins(refused, hub):
    sentence = refused(
        "experiments", "ablation", "--tasks", TASK, "--splits", "0", "--hub", "moe18", "--quiet"
    )
    assert "do not share an initialisation" in sentence


def test_what_was_removed_is_told_though_its_rows_are_unknown(ok, source):
    ok("hub", "import", "moe18", source)
    ok("hub", "release", "--hub", "moe18")
    ok("hub", "remove", "mp_kvrh", "--hub", "moe18")
    told = " ".join(ok("hub", "show", "mp_kvrh@1.0.0", "--hub", "moe18").split())
    assert "– rows of mp_kvrh" in told
    assert "(validation)" in told
