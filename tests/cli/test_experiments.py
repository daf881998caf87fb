"""``moma experiments`` and ``moma insights`` as a user meets them, on the embedded task and the built-in hub."""

from __future__ import annotations

import csv
import json

import pytest
from builtin_hub import FULL

from moma_app.experiments.kept import read_insights
from moma_app.hub import Hub

TASK = "elemental_bulk_modulus"
PLAN = ("--tasks", TASK, "--hub", "builtin", "--splits", "0")


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """Home of the tests of this file: what one has computed, another need not."""
    return tmp_path_factory.mktemp("memory")


@pytest.fixture(autouse=True)
def _own_memory(monkeypatch, memory):
    monkeypatch.setenv("MOMA_DEVICE", "cpu")
    monkeypatch.setenv("MOMA_HOME", str(memory))


def test_an_ablation_from_its_plan_to_its_table(ok, refused, tmp_path):
    methods = ("--methods", "bare")
    assert "No cell" in ok("experiments", "table")
    planned = ok("experiments", "ablation", *PLAN, *methods, "--dry-run")
    assert "0 of 2 cells done, 2 missing" in planned
    assert "Left: 2 runs, about" in planned
    done = ok("experiments", "ablation", *PLAN, *methods, "-q", "--csv", tmp_path / "table.csv")
    assert "instant, bare:" in done
    assert "on average, worse on" in done
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [row["method"] for row in rows] == ["amc", "bare"]
    again = json.loads(ok("experiments", "ablation", *PLAN, *methods, "-q", "--json"))
    assert [row["mae"] for row in again["rows"]] == [float(row["mae"]) for row in rows]
    assert again["plan"]["plan"] == "ablation"
    assert len(json.loads(ok("runs", "list", "--json"))) == 2, "nothing was done twice"
    planned = json.loads(ok("experiments", "ablation", *PLAN, *methods, "--dry-run", "--json"))
    assert planned["status"] == {"total": 2, "done": 2, "running": 0, "failed": 0, "missing": 0}
    assert "0 cells stopped; 2 of 2 cells done" in ok("experiments", "ablation", *PLAN, *methods, "--stop")
    few = ok("experiments", "few-shot", *PLAN, "--shots", "100,full", "-q")
    assert "49 (all)" in few, "the numbers of the ablation"
    listed = json.loads(ok("experiments", "table", "--json", "--tasks", TASK))
    assert {row["method"] for row in listed} == {"amc", "bare"}
    shown = ok("insights", "show", *PLAN[:4], "--splits", "0-1")
    assert "1 of 2 compositions" in shown
    assert "moma insights fill" in shown
    assert "1 of 1 cells done" in ok("insights", "fill", *PLAN, "--dry-run")
    for name, begin in (("map.svg", b"<?xml"), ("map.png", b"\x89PNG")):
        assert f"Figure: {tmp_path / name}" in ok(
            "insights", "show", *PLAN[:4], "--figure", tmp_path / name
        ).replace("\n", "")
        assert (tmp_path / name).read_bytes().startswith(begin)
    assert "drawn as .svg or .png" in refused("insights", "show", *PLAN[:4], "--figure", "map.pdf")
    kept = tmp_path / "kept.csv"
    assert "1 of 2 compositions" in ok("insights", "save", kept, *PLAN[:4], "--splits", "0-1")
    assert read_insights(kept).tasks == (TASK,)
    assert "moma insights fill" in refused(
        "insights", "save", tmp_path / "no.csv", *PLAN[:4], "--splits", "4"
    )


def test_continual_learning_counts_what_a_module_adds(ok, tmp_path):
    for module in Hub.open("builtin").select(["castelli_eform", "mp_bandgap", "mp_gvrh", "mp_kvrh"]):
        Hub(tmp_path).put(module)
    plan = ("--tasks", TASK, "--hub", tmp_path, "--splits", "0")
    before = ("--before", "mp_bandgap,mp_kvrh")
    (row,) = json.loads(ok("experiments", "continual", *plan, *before, "-q", "--json"))["rows"]
    assert row["proxy_decrease"] >= -1e-9, "more modules cannot raise the optimum"
    assert "no line is fitted" in ok("experiments", "continual", *plan, *before, "-q")
    older = ok("experiments", "continual", *plan, "--before-module", "mp_gvrh", "--dry-run")
    assert "2 of 2 cells done" in older, "these two are older"


def test_published_weights_are_fetched_and_compared(ok, refused, tmp_path):
    assert "moma insights fetch-published" in refused("insights", "compare-published", *PLAN)
    assert "cannot be reached" in refused("insights", "fetch-published", "--url", "http://127.0.0.1:9")
    for folder, content in (
        ("module_ids", {TASK: "0,1,10,16"}),
        ("module_weights", {TASK: [0.1, 0.2, 0.4, 0.3]}),
    ):
        (tmp_path / folder).mkdir()
        for split in range(5):
            (tmp_path / folder / f"split_{split}.json").write_text(json.dumps(content))
    fetched = ok("insights", "fetch-published", "--url", tmp_path.as_uri(), "-q")
    assert "CC BY-NC 4.0" in fetched
    nothing = ("--tasks", TASK, "--hub", "builtin", "--splits", "1")
    assert "no correlation" in ok("insights", "compare-published", *nothing)
    ok("insights", "fill", *PLAN, "-q")
    found = json.loads(ok("insights", "compare-published", *PLAN, "--json"))
    assert {"mp_bandgap", "castelli_eform", "mp_gvrh", "mp_kvrh"} <= set(found["modules"]) <= set(FULL)
    (task,) = found["tasks"]
    assert sum(task["ours"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("experiments", "ablation", "--tasks", "mp_phonon"), "did you mean mp_phonons"),
        (("experiments", "ablation", *PLAN, "--learner", "instand"), "did you mean instant"),
        (("experiments", "ablation", *PLAN, "--option", "epochs=3"), "no learner of this plan"),
        (
            (
                "experiments",
                "ablation",
                *PLAN,
                "--learner",
                "finetune",
                "--option",
                "fit.epochs=many",
                "--dry-run",
            ),
            "epochs cannot be 'many'",
        ),
        (("experiments", "few-shot", *PLAN, "--shots", "ten"), "'ten' is no whole number"),
        (("experiments", "few-shot", "--tasks", TASK, "--splits", "0-x"), "'x' is no whole number"),
        (("experiments", "continual", *PLAN, "--before", "mp_kvhr"), "did you mean mp_kvrh"),
        (("insights", "show", "--tasks", "all"), "no downstream task is on this machine"),
    ],
)
def test_bad_input_gets_one_sentence(refused, arguments, sentence):
    assert sentence in refused(*arguments)


def test_any_setting_of_a_recipe_is_an_option_of_fine_tuning(ok):
    given = ("--option", "fit.weight_decay=0.1", "--option", "head.pooling=max", "--option", "epochs=3")
    shown = ok("experiments", "ablation", *PLAN, "--learner", "finetune", *given, "--dry-run", "--json")
    assert json.loads(shown)["plan"]["options"] == {
        "finetune": {"changes": {"fit.weight_decay": 0.1, "head.pooling": "max"}, "epochs": "3"}
    }


def test_a_failed_cell_is_named(refused):
    error = refused("experiments", "ablation", *PLAN, "--methods", "amc", "--k", "60", "-q")
    assert "No cell of the plan has finished: 0 of 1 cells done, 1 failed" in error
