"""Recipes: those that ship load; bad ones are refused by name."""

from __future__ import annotations

import pytest

from moma_app.errors import InputError, UnknownNameError
from moma_app.training.recipe import load_recipe, recipe_names


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
