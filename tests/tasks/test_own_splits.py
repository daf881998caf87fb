"""A user's own split: by parts, fractions, groups and held-out elements, written as the published ones are."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.errors import InputError
from moma_app.formulas import reduced_formula
from moma_app.structures import StructureSet
from moma_app.tasks import store
from moma_app.tasks.data import TaskData
from moma_app.tasks.dividing import divide
from moma_app.tasks.own_splits import clear_split, part_of, set_split
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.splits import random_split
from moma_app.tasks.task import get_task, split_file, task_file

from .conftest import make_data, rock_salt


@pytest.fixture
def mine(home):
    """A stored task of 40 rows: eight compounds AX, five of each."""
    store.write_task(task_file(home / "data", "mine"), make_data(40))
    return get_task("mine")


def formulas_of(task):
    return np.array([reduced_formula(crystal.numbers.tolist()) for crystal in task.load().structures])


def test_default_fractions_are_the_random_split(mine):
    assert mine.split(3).origin == "random"
    written = set_split(mine)
    assert written.sizes == [(28, 6, 6)] * 5
    for seed in range(5):
        own, usual = mine.split(seed), random_split(40, seed)
        assert own.origin == "own"
        for part in ("train", "val", "test"):
            assert np.array_equal(getattr(own, part), getattr(usual, part))


def test_fractions_set_the_sizes_and_the_file_has_the_published_form(mine, home):
    written = set_split(mine, fractions=(0.5, 0.2, 0.3), seeds=2)
    assert written.sizes == [(20, 8, 12)] * 2
    assert written.path == split_file(home / "data", "mine")
    stored = json.loads(written.path.read_text())
    assert [sorted(split) for split in stored] == [["test", "train", "val"]] * 2
    rows = mine.load().rows
    assert rows[mine.split(1).test].tolist() == stored[1]["test"]
    with pytest.raises(InputError, match="seeds 0 to 1"):
        mine.split(2)
    assert clear_split(mine)
    assert not clear_split(mine)
    assert mine.split(7).origin == "random"


def test_rows_of_one_formula_stay_together(mine):
    written = set_split(mine, fractions=(0.5, 0.25, 0.25), group="formula")
    formulas = formulas_of(mine)
    for seed, sizes in enumerate(written.sizes):
        split = mine.split(seed)
        parts = [set(formulas[positions]) for positions in (split.train, split.val, split.test)]
        assert sum(map(len, parts)) == 8, "no formula is in two parts"
        assert sizes == (20, 10, 10)
    assert not np.array_equal(mine.split(0).test, mine.split(1).test)


def test_groups_of_elements_join_what_differs_in_composition(home):
    pairs = [(11, 17), (17, 11), (19, 17), (3, 9), (3, 9)]
    structures = StructureSet.from_any([rock_salt(*pair, a=5 + 0.1 * i) for i, pair in enumerate(pairs)])
    store.write_task(
        task_file(home / "data", "salts"),
        TaskData(
            TaskSpec(name="salts", role="user", property="p"),
            [f"s{i}" for i in range(5)],
            np.arange(5, dtype=np.int32),
            structures,
            np.arange(5.0),
        ),
    )
    task = get_task("salts")
    set_split(task, fractions=(0.4, 0.3, 0.3), group="elements")
    split = task.split(0)
    where = {int(p): part for part in ("train", "val", "test") for p in getattr(split, part)}
    assert where[0] == where[1]
    assert where[3] == where[4]
    assert len({where[0], where[2], where[3]}) == 3


def test_held_out_elements_are_the_test_part(mine):
    set_split(mine, held_out=["Li", "Be"], group="formula")
    formulas = formulas_of(mine)
    split = mine.split(0)
    assert set(formulas[split.test]) == {"LiCl", "BeCl"}
    assert not {"LiCl", "BeCl"} & {*formulas[split.train], *formulas[split.val]}
    assert len(split.train) + len(split.val) + len(split.test) == 40
    assert 4 <= len(split.val) <= 6


def test_given_parts_are_kept_for_every_seed(mine):
    parts = ["train"] * 30 + ["Validation"] * 4 + ["test"] * 5 + [""]
    assert set_split(mine, parts=parts).sizes == [(30, 4, 5)] * 5
    for seed in (0, 4):
        assert mine.split(seed).val.tolist() == [30, 31, 32, 33]
        assert mine.split(seed).test.tolist() == [34, 35, 36, 37, 38]


NONSENSE = [
    ({"fractions": (0.5, 0.5)}, "Three fractions"),
    ({"fractions": (0.5, 0.5, 0.5)}, "sum 1"),
    ({"fractions": (1.2, -0.1, -0.1)}, "sum 1"),
    ({"fractions": (float("nan"), 0.5, 0.5)}, "sum 1"),
    ({"fractions": (0.001, 0.4995, 0.4995)}, "too few"),
    ({"seeds": 0}, "at least one seed"),
    ({"held_out": ["Xx"]}, "unknown element 'Xx'"),
    ({"held_out": ["Au"]}, "No structure holds Au"),
    ({"held_out": ["Cl"]}, "Only 0 structures"),
    ({"group": "elements", "held_out": ["Li", "Be", "B", "C", "N", "O", "F"]}, "1 groups"),
    ({"parts": ["train"] * 39}, "39 parts are given for the 40 rows"),
    ({"parts": ["train"] * 39 + ["exam"]}, "'exam' is no part"),
    ({"parts": ["train"] * 39 + ["test"]}, "part val would be empty"),
]


@pytest.mark.parametrize(("arguments", "message"), NONSENSE)
def test_nonsense_is_refused_and_leaves_the_old_split(mine, arguments, message):
    before = set_split(mine).path.read_bytes()
    with pytest.raises(InputError, match=message):
        set_split(mine, **arguments)
    assert split_file(mine.path.parents[1], "mine").read_bytes() == before


def test_only_a_users_own_task_can_be_split(home):
    for name in ("elemental_bulk_modulus", "mp_phonons"):
        with pytest.raises(InputError, match="catalogue"):
            set_split(get_task(name))
    assert not (home / "data").exists()


def test_spellings_of_parts():
    assert [part_of(text) for text in (" Train", "TRAINING", "valid", "val", "test", " ")] == [
        "train", "train", "val", "val", "test", "",
    ]  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=12, max_size=80),
    st.integers(0, 1000),
    st.tuples(st.floats(0.1, 1), st.floats(0.1, 1), st.floats(0.1, 1)),
)
def test_groups_are_never_torn_and_no_part_is_empty(labels, seed, weights):
    labels = np.unique(labels, return_inverse=True)[1]
    if labels.max() < 2:
        return
    shares = np.array(weights) / sum(weights)
    parts = divide(len(labels), labels, shares.tolist(), np.random.default_rng(seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert all(len(part) for part in parts)
    found = [set(labels[part].tolist()) for part in parts]
    assert sum(map(len, found)) == labels.max() + 1
