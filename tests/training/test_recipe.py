"""Recipes: those that ship load; bad ones are refused by name."""

from __future__ import annotations

import json

import pytest

from moma_app.errors import InputError, UnknownNameError
from moma_app.training.recipe import Recipe, load_recipe, recipe_names, recipe_settings


def test_every_recipe_of_the_package_loads():
    assert {"short-cpu", "finetune"} <= set(recipe_names())
    for name in recipe_names():
        assert load_recipe(name).name == name


def test_changes_leave_the_rest_alone():
    recipe = load_recipe("short-cpu")
    changed = recipe.with_fit(epochs=3, seed=None)
    assert (changed.fit.epochs, changed.fit.seed) == (3, recipe.fit.seed)
    assert changed.max_atoms == recipe.max_atoms == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_atmos = 3", "did you mean max_atoms"),
        ("[fit]\nlearning_rat = 1", "did you mean learning_rate"),
        ("[fit]\nepochs = 'many'", "epochs cannot be"),
        ("[fit]\nepochs = true", "epochs cannot be"),
        ("= 3", "no TOML file"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="did you mean short-cpu"):
        load_recipe("shortcpu")


def test_settings_are_changed_by_their_names():
    recipe = load_recipe("short-cpu")
    changed = recipe.changed(
        {
            "max_atoms": 8,
            "head.pooling": "attention",
            "fit.batch_edges": 900,
            "exclude_structures_of": ["mp_phonons"],
        }
    )
    assert (changed.max_atoms, changed.head.pooling, changed.fit.batch_edges) == (8, "attention", 900)
    assert changed.exclude_structures_of == ("mp_phonons",)
    assert Recipe.from_dict(json.loads(json.dumps(changed.to_dict()))) == changed
    given = {name: value for name, value in recipe.values().items() if value is not None}
    assert recipe.changed(given) == recipe.replaced(recipe.values()) == recipe
    assert list(recipe.values()) == recipe_settings()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fit.learning_rat": 1.0}, "did you mean fit.learning_rate"),
        ({"learning_rate": 1.0}, "did you mean fit.learning_rate"),
        ({"fit": {}}, "no setting of a recipe"),
        ({"head.pooling": "median"}, "pooling cannot be 'median'"),
        ({"fit.epochs": 2.5}, "epochs cannot be 2.5"),
    ],
)
def test_a_change_that_does_not_exist_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        load_recipe("short-cpu").changed(changes)
