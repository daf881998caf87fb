"""Splits are disjoint, complete and the same everywhere; few-shot sampling nests."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moma_app.errors import DamagedFileError, InputError
from moma_app.tasks import store
from moma_app.tasks.splits import few_shot, published_split, random_split, read_published
from moma_app.tasks.task import get_task, list_tasks, split_file, task_file

from .conftest import make_data

PUBLISHED = [{"train": [0, 4, 2], "val": [7], "test": [5, 9]}]


@given(st.integers(3, 3000), st.integers(0, 2**32))
def test_random_split_covers_every_row_once(n, seed):
    split = random_split(n, seed)
    together = np.concatenate([split.train, split.val, split.test])
    assert np.array_equal(np.sort(together), np.arange(n))
    assert min(len(split.train), len(split.val), len(split.test)) >= 1
    assert abs(len(split.val) - 0.15 * n) <= 1
    assert abs(len(split.test) - 0.15 * n) <= 1
    again = random_split(n, seed)
    assert all(
        np.array_equal(a, b)
        for a, b in zip((split.train, split.test), (again.train, again.test), strict=True)
    )


def test_random_split_never_changes():
    """Results name their split by its seed: the same seed must mean the same rows for ever."""
    assert random_split(10, 0).test.tolist() == [8, 1]
    assert random_split(10, 0).origin == "random"
    assert not np.array_equal(random_split(100, 0).train, random_split(100, 1).train)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_rows_cannot_be_split(n):
    with pytest.raises(InputError, match="at least 3"):
        random_split(n, 0)


def test_negative_seeds_are_refused():
    with pytest.raises(InputError, match="seed"):
        random_split(10, -1)
    with pytest.raises(InputError, match="seed"):
        few_shot(random_split(10, 0), 1, -1)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 100))
def test_few_shots_nest_and_leave_the_rest_whole(few, many, seed):
    split = random_split(100, 3)
    few, many = sorted((few, many))
    small, large = few_shot(split, few, seed), few_shot(split, many, seed)
    assert len(small.train) == few
    assert set(small.train) <= set(large.train) <= set(split.train)
    assert np.array_equal(small.val, split.val)
    assert np.array_equal(small.test, split.test)


@pytest.mark.parametrize("n", [0, 71])
def test_impossible_few_shots_are_refused(n):
    with pytest.raises(InputError, match="70 rows"):
        few_shot(random_split(100, 0), n)


def test_published_rows_become_positions():
    rows = np.array([9, 7, 5, 4, 2, 0, 1], dtype=np.int32)
    split = published_split(PUBLISHED, rows, 0, "here")
    assert rows[split.train].tolist() == [0, 4, 2]
    assert rows[split.test].tolist() == [5, 9]
    assert split.origin == "published"


def test_missing_published_rows_are_named():
    with pytest.raises(InputError, match=r"needs 2 rows that here does not hold \(7, 9\)"):
        published_split(PUBLISHED, np.array([0, 4, 2, 5], dtype=np.int32), 0, "here")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[1]", '[{"train": [1], "val": [2]}]', '[{"train": [1], "val": [2], "test": [1]}]',
     '[{"train": [1.5], "val": [2], "test": [3]}]', '[{"train": [-1], "val": [2], "test": [3]}]',
     '[{"train": [true], "val": [2], "test": [3]}]', '[{"train": [4, 4], "val": [2], "test": [3]}]'],
)  # fmt: skip
def test_damaged_split_files_are_named(tmp_path, text):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(DamagedFileError, match=r"s\.json"):
        read_published(path)


def test_a_split_file_beside_the_data_is_used(home, tmp_path):
    folder = home / "data"
    store.write_task(task_file(folder, "mine"), make_data(10))
    split_file(folder, "mine").parent.mkdir(parents=True)
    split_file(folder, "mine").write_text(json.dumps(PUBLISHED))
    task = get_task("mine")
    assert task.split(0).origin == "own"
    with pytest.raises(InputError, match="own for the seeds 0 to 0, not for 1"):
        task.split(1)


def test_every_published_split_maps(shared_data):
    published = [path.stem for path in (shared_data / "splits").glob("*.json")]
    assert len(published) == 13
    for name in published:
        data_rows = store.read_rows(task_file(shared_data, name))
        stored = json.loads((shared_data / "splits" / f"{name}.json").read_text())
        for seed in range(5):
            split = get_task(name).split(seed)
            assert split.origin == "published"
            assert data_rows[split.train].tolist() == stored[seed]["train"]
            assert data_rows[split.val].tolist() == stored[seed]["val"]
            assert data_rows[split.test].tolist() == stored[seed]["test"]


def test_tasks_without_published_splits_are_split_at_random(shared_data):
    covered = {path.stem for path in (shared_data / "splits").glob("*.json")}
    for task in list_tasks():
        if task.available and task.name not in covered:
            assert task.split(0).origin == "random", task.name
