"""A task's overview counts what is there, is remembered until a file changes, and comes quickly."""

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from moma_app.formulas import SYMBOLS
from moma_app.structures import StructureSet
from moma_app.tasks import store
from moma_app.tasks.data import TaskData
from moma_app.tasks.overview import formulas_of, get_overview, overview_of
from moma_app.tasks.own_splits import set_split
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.splits import Split
from moma_app.tasks.task import get_task, task_file

from .conftest import make_data


def test_an_overview_counts_rows_elements_and_sizes():
    data = make_data(10)
    split = Split(np.arange(6), np.array([6]), np.array([8, 9]), 0, "own")
    seen = overview_of(data, split)
    assert [seen.target[name] for name in ("n", "min", "max")] == [10, -1, 2]
    assert seen.target["median"] == pytest.approx(0.5)
    assert seen.elements == {"Li": 2, "Be": 2, "B": 1, "C": 1, "N": 1, "O": 1, "F": 1, "Ne": 1, "Cl": 10}
    assert list(seen.elements)[-1] == "Cl", "elements in the order of the periodic table"
    assert seen.n_atoms.tolist() == [2] * 10
    assert seen.parts == {"train": 6, "val": 1, "test": 2, "unused": 1}
    assert seen.split == "own"
    assert seen.formulas[:2] == ["LiCl", "BeCl"]
    assert overview_of(data).parts == {}


def test_examples_are_the_ends_and_the_middle_of_the_targets():
    data = make_data(9).take([4, 8, 0, 2, 6, 1, 3, 5, 7])
    smallest, median, largest = overview_of(data).examples
    assert [(e.what, e.id, e.position) for e in (smallest, median, largest)] == [
        ("smallest", "m-0", 2), ("median", "m-4", 0), ("largest", "m-8", 1),
    ]  # fmt: skip
    assert (smallest.target, smallest.formula, smallest.n_atoms) == (-1.0, "LiCl", 2)


def test_examples_of_classes_are_of_the_most_frequent():
    data = make_data(7)
    spec = TaskSpec(name="c", role="user", kind="classification", property="p", n_classes=5,
                    classes=("a", "b", "c", "d", "e"))  # fmt: skip
    data = replace(data, spec=spec, targets=np.array([4.0, 1, 1, 2, 2, 2, 0]))
    seen = overview_of(data)
    assert [(e.what, e.position) for e in seen.examples] == [("c", 3), ("b", 1), ("a", 6)]
    assert seen.target["classes"] == {"a": 1, "b": 2, "c": 3, "e": 1}


def test_no_rows_give_an_empty_overview():
    seen = overview_of(make_data(10).take([]))
    assert (seen.target, seen.elements, seen.examples, seen.formulas) == ({"n": 0}, {}, (), [])


def test_an_overview_is_remembered_until_data_or_split_change(home):
    path = task_file(home / "data", "mine")
    store.write_task(path, make_data(20))
    first = get_overview("mine")
    assert first.split == "random"
    assert get_overview("mine") is first
    set_split(get_task("mine"), fractions=(0.5, 0.25, 0.25))
    second = get_overview("mine")
    assert (second.split, second.parts["train"]) == ("own", 10)
    store.write_task(path, make_data(30))
    os.utime(path, ns=(1, 1))
    assert len(get_overview("mine").targets) == 30


def test_every_real_task_agrees_with_a_plain_count(shared_data):
    data = get_task("mp_poisson_ratio").load()
    seen = overview_of(data, get_task("mp_poisson_ratio").split(0))
    plain = Counter(SYMBOLS[z] for crystal in data.structures for z in set(crystal.numbers.tolist()))
    assert seen.elements == plain
    assert sum(seen.parts.values()) == len(data)
    assert seen.split == "published"
    pymatgen = [crystal.to_pymatgen().composition.reduced_formula for crystal in data.structures[:200]]
    assert seen.formulas[:200] == pymatgen


def test_five_thousand_rows_take_less_than_a_third_of_a_second():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 60, 5000)
    structures = StructureSet(
        rng.integers(1, 95, sizes.sum()).astype(np.int16),
        np.tile(np.eye(3) * 5, (5000, 1, 1)),
        rng.random((sizes.sum(), 3)),
        np.concatenate([[0], np.cumsum(sizes)]),
    )
    spec = TaskSpec(name="large", role="user", property="p")
    data = TaskData(
        spec, [str(i) for i in range(5000)], np.arange(5000, dtype=np.int32), structures, rng.random(5000)
    )
    times = []
    for _ in range(3):
        begun = time.process_time()
        assert len(overview_of(data).elements) == 94
        assert len(formulas_of(structures)) == 5000
        times.append(time.process_time() - begun)
    assert min(times) < 0.3


def test_an_overview_loads_nothing_heavy():
    code = (
        "import sys\nfrom moma_app.tasks.overview import get_overview\nget_overview('elemental_bulk_modulus')\n"
        "assert not {'pymatgen', 'pandas', 'torch', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("n", [1, 2])
def test_few_rows_are_examples_more_than_once(n):
    assert len(overview_of(make_data(n)).examples) == 3
