"""Studies of recipes: what they compare, how they are judged, what they refuse."""

from __future__ import annotations

import json

import pytest

from moma_app.cli import main
from moma_app.errors import InputError, UnknownNameError
from moma_app.experiments.recipe_study import BASE, RecipeStudy, ranking, study_names
from moma_app.experiments.results import CellResult
from moma_app.tasks.catalogue import catalogue
from moma_app.training.recipe import load_recipe

TASK = "elemental_bulk_modulus"


@pytest.fixture
def study():
    return RecipeStudy.make(
        tasks=[TASK],
        recipe="short-cpu",
        base={"fit.epochs": 1, "max_atoms": 2},
        vary={"fit.learning_rate": [1e-4, 1e-2], "head.pooling": ["max"]},
        together=[{"head.depth": 2, "fit.epochs": 2}],
        seeds=[0, 1],
    )


def test_each_variant_changes_the_base_and_nothing_else(study):
    base = load_recipe("short-cpu").changed(study.base)
    recipes = {cell.group: cell.spec.arguments["of"]["recipe"] for cell in study.cells() if cell.seed == 0}
    assert recipes == {
        BASE: _plain(base),
        "fit.learning_rate = 0.0001": _plain(base.changed({"fit.learning_rate": 1e-4})),
        "fit.learning_rate = 0.01": _plain(base.changed({"fit.learning_rate": 1e-2})),
        "head.pooling = max": _plain(base.changed({"head.pooling": "max"})),
        "head.depth = 2, fit.epochs = 2": _plain(base.changed({"head.depth": 2, "fit.epochs": 2})),
    }
    assert len(study.cells()) == 10
    assert RecipeStudy.from_dict(json.loads(json.dumps(study.to_dict()))) == study


def _plain(recipe):
    return recipe.to_dict()


def test_variants_are_judged_by_validation_errors_on_the_same_rows(study):
    errors = {BASE: (2.0, 1.0), "fit.learning_rate = 0.01": (1.0, 0.9), "head.pooling = max": (3.0, None)}
    results = [
        CellResult(cell, {"val_error": error, "test_mae": 99.0}, 5.0, "run")
        for cell in study.cells()
        if (error := errors.get(cell.group, (None, None))[cell.seed]) is not None
    ]
    rows = {row["variant"]: row for row in study.table(results)}
    assert set(rows) == set(errors)
    assert rows[BASE]["val_error"] == 1.5
    assert rows["fit.learning_rate = 0.01"]["difference"] == pytest.approx((-50 - 10) / 2)
    assert rows["head.pooling = max"]["difference"] == pytest.approx(50)
    assert [row["variant"] for row in ranking(list(rows.values()))] == [
        "fit.learning_rate = 0.01",
        "head.pooling = max",
    ]


def test_the_studies_of_the_package_can_be_planned():
    assert {"modules", "modules-deeper", "adapters", "finetune"} <= set(study_names())
    for name in study_names():
        plan = RecipeStudy.load(name)
        assert set(plan.tasks) <= set(catalogue())
        for changes in plan.variants().values():
            assert load_recipe(plan.recipe).changed({**plan.base, **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks = []", "tasks cannot be"),
        (f'tasks = ["{TASK}"]\nlearners = ["instant"]', "about fine-tuning only"),
        (f'tasks = ["{TASK}"]\nbases = 3', "did you mean base"),
        ("= 3", "no TOML file"),
    ],
)
def test_a_bad_study_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        RecipeStudy.load(path)
    with pytest.raises(UnknownNameError, match="did you mean modules"):
        RecipeStudy.load("module")


def test_the_command_fits_and_goes_on_where_it_stopped(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(
        f'tasks = ["{TASK}"]\nrecipe = "short-cpu"\n[base]\nmax_atoms = 2\n"fit.epochs" = 1\n'
        '[vary]\n"head.depth" = [2]\n'
    )

    def moma(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["experiments", "recipe", str(path), *arguments])
        assert not end.value.code, capsys.readouterr().err
        return capsys.readouterr().out

    assert "2 cells" in moma("--dry-run") or "2 missing" in moma("--dry-run")
    found = json.loads(moma("--json", "--quiet", "--csv", str(tmp_path / "table.csv")))
    assert [row["variant"] for row in found["rows"]] == [BASE, "head.depth = 2"]
    assert all(row["val_error"] > 0 for row in found["rows"])
    assert "2 of 2 cells done" in moma("--dry-run")
    assert "to base" in moma("--quiet")
    shown = moma("--quiet", "--markdown").splitlines()
    assert shown[0] == f"| change | {TASK} | mean |"
    assert shown[3].startswith("| `head.depth = 2` | ")
    assert (tmp_path / "table.csv").read_text().count("\n") == 3
