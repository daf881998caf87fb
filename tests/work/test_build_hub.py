"""A hub is built from its recipe: what is missing is trained, compared and published; the rest is left alone."""

from __future__ import annotations

import json

import pytest

from moma_app.errors import InputError, UnknownNameError
from moma_app.hub.hub import Hub
from moma_app.hub.quality import published, quality_of
from moma_app.jobs.jobs import Jobs
from moma_app.progress import Step
from moma_app.tasks.catalogue import catalogue
from moma_app.work.build_hub import build, missing
from moma_app.work.hub_recipe import HubRecipe, hub_recipe_names

TASK = "elemental_bulk_modulus"
SMALL = f"""
name = "small"
version = "0.1.0"
scratch = true
full = {{ "fit.epochs" = 1 }}
adapter = {{ "fit.epochs" = 2, "fit.learning_rate" = 3e-3 }}

[recipe]
cpu = "short-cpu"
cuda = "short-cpu"

[[modules]]
tasks = ["{TASK}"]
kinds = ["full", "adapter"]
changes = {{ max_atoms = 2, "head.hidden" = 16 }}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_a_hub_is_built_once_and_what_is_missing_is_added(recipe, tmp_path):
    plan, folder, events = HubRecipe.load(recipe), tmp_path / "hub", []
    with Jobs() as jobs:
        built = build(plan, folder, jobs, device="cpu", listener=events.append)
        assert built.made == [TASK, f"{TASK}-adapter"]
        assert not built.failed
        assert [event.total for event in events if isinstance(event, Step) and event.what == "fits"][-1] == 3
        full, adapter = (Hub(folder)[name].card for name in built.made)
        assert (full.kind, full.recipe["fit"]["epochs"], len(full.curve)) == ("full", 1, 1)
        assert (adapter.kind, adapter.recipe["fit"]["learning_rate"]) == ("adapter", 3e-3)
        (scratch,) = full.references
        assert scratch.mae > 0
        rows = {row.module: row for row in quality_of([full, adapter])}
        assert rows[f"{TASK}-adapter"].scratch_mae == rows[TASK].scratch_mae == scratch.mae
        assert rows[TASK].scratch_over_mad == pytest.approx(scratch.mae / full.metrics.test_mad)
        assert {full.storage, adapter.storage} == {"float16"}
        assert (Hub(folder).version, Hub(folder).manifest.name) == ("0.1.0", "small")
        runs = len(jobs.store.runs())

        again = build(plan, folder, jobs, device="cpu")
        assert (again.kept, again.made) == (built.made, [])
        Hub(folder).remove(f"{TASK}-adapter")
        needed, _ = missing(plan, Hub(folder), "cpu")
        assert [each.order.name for each in needed] == [f"{TASK}-adapter"]
        assert build(plan, folder, jobs, device="cpu").made == [f"{TASK}-adapter"]
        assert len(jobs.store.runs()) == runs, "a training that has been done is not done again"


def test_a_module_of_another_recipe_is_trained_anew(recipe, tmp_path):
    folder = tmp_path / "hub"
    plan = HubRecipe.load(recipe).model_copy(update={"scratch": False})
    with Jobs() as jobs:
        build(plan, folder, jobs, device="cpu")
        longer = plan.model_copy(update={"full": {"fit.epochs": 2}})
        needed, there = missing(longer, Hub(folder), "cpu")
    assert ([each.order.name for each in needed], there) == ([TASK], [f"{TASK}-adapter"])


def test_a_training_that_fails_does_not_stop_the_others(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(
        SMALL.replace("max_atoms = 2", 'max_atoms = 2, "fit.learning_rate" = 1e9').replace(
            "scratch = true", ""
        )
    )
    plan = HubRecipe.load(path)
    with Jobs() as jobs:
        built = build(plan, tmp_path / "hub", jobs, device="cpu")
    assert "diverged" in built.failed[TASK]
    assert set(built.failed) | set(built.made) == {TASK, f"{TASK}-adapter"}


def test_the_recipes_of_the_package_name_tasks_and_settings_that_exist():
    assert {"builtin", "clean"} <= set(hub_recipe_names())
    for name in hub_recipe_names():
        plan = HubRecipe.load(name)
        for device in ("cpu", "cuda"):
            for order in plan.orders(device):
                assert order.task in catalogue()
                assert order.recipe.exclude_structures_of == plan.exclude_structures_of
        assert set(plan.exclude_structures_of) <= set(catalogue())
    assert len(HubRecipe.load("builtin").orders("cpu")) == 28
    assert set(published()) <= {order.task for order in HubRecipe.load("builtin").orders("cpu")}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "small"', "", "name: field required"),
        ("scratch = true", "scrath = true", "scrath: extra inputs"),
        ('"full", "adapter"', '"whole"', "should be 'full' or 'adapter'"),
        ('"full", "adapter"', '"full", "full"', "named twice"),
        ('name = "small"', "= 3", "no TOML file"),
    ],
)
def test_a_bad_file_is_refused(recipe, old, new, message):
    recipe.write_text(SMALL.replace(old, new))
    with pytest.raises(InputError, match=f"(?i)small.toml.*{message}"):
        HubRecipe.load(recipe)


def test_a_bad_setting_is_refused_before_anything_is_trained(recipe):
    recipe.write_text(SMALL.replace("head.hidden", "head.hiden"))
    with pytest.raises(UnknownNameError, match="did you mean head"):
        HubRecipe.load(recipe).orders("cpu")
    with pytest.raises(UnknownNameError, match="did you mean builtin"):
        HubRecipe.load("bultin")


def test_the_command_builds_and_shows_the_table(recipe, tmp_path, capsys):
    from moma_app.cli import main

    def moma(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        assert not end.value.code, capsys.readouterr().err
        return capsys.readouterr().out

    folder = tmp_path / "hub"
    assert f"Missing: {TASK}, {TASK}-adapter; 3 fits on cpu" in moma(
        "hub", "build", recipe, "--hub", folder, "--dry-run"
    )
    assert not folder.exists()
    assert f"{TASK}-adapter" in moma("hub", "build", recipe, "--hub", folder, "--device", "cpu", "--quiet")
    assert f"| {TASK}-adapter |" in moma("hub", "table", "--hub", folder, "--markdown")
    first, second = json.loads(moma("hub", "table", "--hub", folder, "--json"))["modules"]
    assert (first["kind"], second["kind"], first["scratch_mae"]) == ("full", "adapter", second["scratch_mae"])
