"""Where the errors of a fit are, against a plain count over pymatgen's structures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moma_app.errors import InputError
from moma_app.plots.analysis_values import ErrorAnalysis
from moma_app.structures import StructureSet
from moma_app.tasks import get_task
from moma_app.tasks.data import TaskData
from moma_app.training.analysis import WORST, analyse
from moma_app.training.outcome import FitReport


@pytest.fixture(scope="module")
def data() -> TaskData:
    """Binary crystals, so that structures share elements; two of them have the same id."""
    from pymatgen.core import Lattice, Structure

    random = np.random.default_rng(0)
    symbols = ["Na", "K", "Cl", "Br", "O", "Fe"]
    pairs = [random.choice(symbols, 2, replace=False) for _ in range(40)]
    structures = [
        Structure(
            Lattice.cubic(4 + 0.05 * n), [*([str(a)] * (1 + n % 3)), str(b)], random.random((2 + n % 3, 3))
        )
        for n, (a, b) in enumerate(pairs)
    ]
    spec = get_task("elemental_bulk_modulus").spec
    ids = [f"id {n}" for n in range(39)] + ["id 0"]
    return TaskData(
        spec, ids, np.arange(40, dtype=np.int32), StructureSet.from_any(structures), random.normal(size=40)
    )


def report_of(data: TaskData, test: np.ndarray, predicted: np.ndarray, **changes) -> FitReport:
    return FitReport(
        label="composed module",
        start="composed",
        task="t",
        property="p",
        unit="eV",
        split=0,
        shots=None,
        seed=0,
        metrics={},
        ids=[data.ids[row] for row in test],
        targets=data.targets[test].tolist(),
        predicted=predicted.tolist(),
        **changes,
    )


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40))
def test_agrees_with_a_plain_count(data, seed, n):
    random = np.random.default_rng(seed)
    test = random.permutation(40)[:n]
    predicted = random.normal(size=n)
    found = analyse(report_of(data, test, predicted), data, test)
    errors = predicted - data.targets[test]
    crystals = [data.structures[int(row)].to_pymatgen() for row in test]
    assert [row["error"] for row in found["rows"]] == errors.tolist()
    assert [row["position"] for row in found["rows"]] == list(range(n))
    assert [row["formula"] for row in found["rows"]] == [c.composition.reduced_formula for c in crystals]
    assert [row["n_atoms"] for row in found["rows"]] == [len(crystal) for crystal in crystals]
    held = {symbol for crystal in crystals for symbol in crystal.symbol_set}
    assert {row["element"] for row in found["by_element"]} == held
    for row in found["by_element"]:
        mine = [abs(e) for e, c in zip(errors, crystals, strict=True) if row["element"] in c.symbol_set]
        assert row["n"] == len(mine)
        assert row["mae"] == pytest.approx(np.mean(mine))
    worst = found["worst"]
    assert len(worst) == min(n, WORST)
    assert [abs(row["error"]) for row in worst] == sorted(np.abs(errors), reverse=True)[:WORST]
    for row in worst:
        assert row["error"] == pytest.approx(row["predicted"] - row["true"])
        assert row["true"] == data.targets[test[row["position"]]]


def test_it_is_json_that_the_figures_take(data):
    test = np.arange(12)
    found = analyse(report_of(data, test, np.zeros(12)), data, test)
    again = ErrorAnalysis.from_dict(json.loads(json.dumps(found, allow_nan=False)))
    assert len(again.rows) == 12
    assert again.worst[0].true == found["worst"][0]["true"]


def test_of_classes_an_error_is_a_wrong_class(data):
    classes = replace(
        data, spec=data.spec.model_copy(update={"kind": "classification"}), targets=np.arange(40.0) % 3
    )
    test = np.arange(6)
    found = analyse(report_of(classes, test, np.array([0, 1, 0, 0, 2, 2.0])), classes, test)
    assert [row["error"] for row in found["rows"]] == [0, 0, 1, 0, 1, 0]


def test_rows_of_another_split_are_refused(data):
    test = np.arange(5)
    with pytest.raises(InputError, match="not the 5 test rows"):
        analyse(report_of(data, test, np.zeros(5)), data, test + 1)
    with pytest.raises(InputError, match="not the 5 test rows"):
        analyse(report_of(data, test, np.zeros(5)), data, test[:4])


def test_needs_no_torch():
    code = "import sys, moma_app.training.analysis; assert not {'torch', 'pymatgen'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_that_the_backbone_could_not_use_are_left_out(data):
    test = np.array([0, 39, 5, 6, 7])
    used = test[[1, 2, 4]]
    found = analyse(report_of(data, used, np.zeros(3)), data, test)
    assert [row["id"] for row in found["rows"]] == ["id 0", "id 5", "id 7"]
    assert found == analyse(report_of(data, used, np.zeros(3)), data, used)
