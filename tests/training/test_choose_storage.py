"""Rounding a module is decided by what it does to the test error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from module_factory import real_module, with_head

from moma_app.errors import InputError
from moma_app.hub import Hub, Module
from moma_app.hub.card import Target
from moma_app.hub.storage import stored_as
from moma_app.training.hub_predictions import predict_with_hub
from moma_app.training.storage import choose_storage


@pytest.fixture
def module():
    return with_head(real_module("m", 1, backbone="chgnet", noise=0.01))


ROWS = np.array([3, 17, 5, 20])


def changed(module, **tensors):
    return Module(module.card, memory={**module.memory, **tensors})


def test_float16_is_taken_if_the_error_stays(module, elements):
    choice = choose_storage(module, elements, ROWS, device="cpu")
    assert choice.module.card.storage == "float16"
    assert [trial.storage for trial in choice.trials] == ["float32", "float16"]
    assert choice.chosen.change <= 0.005
    assert choice.trials[0].change == 0
    assert choice.chosen.size < 0.52 * choice.trials[0].size


def test_the_errors_are_those_that_the_saved_module_makes(module, elements, tmp_path):
    choice = choose_storage(module, elements, ROWS, device="cpu")
    for stored, trial in zip((module, choice.module), choice.trials, strict=True):
        hub = Hub(tmp_path / trial.storage)
        hub.add(stored)
        (said,) = predict_with_hub(hub, elements.structures.take(ROWS), device="cpu")
        mae = np.abs(said.values - elements.targets[ROWS]).mean()
        assert trial.errors.mae == pytest.approx(mae, rel=1e-5)
        assert trial.errors.n == len(ROWS)
    before, after = (trial.errors.mae for trial in choice.trials)
    assert choice.chosen.change == pytest.approx(abs(after - before) / before)
    assert choice.module.card.metrics.test_mae == choice.chosen.errors.mae
    assert choice.module.card.metrics.val_error == module.card.metrics.val_error


def test_if_neither_half_is_good_enough_nothing_is_rounded(module, elements):
    notes = []
    choice = choose_storage(module, elements, ROWS, tolerance=-1, device="cpu", progress=notes.append)
    assert choice.module.card.storage == "float32"
    assert [trial.storage for trial in choice.trials] == ["float32", "float16", "bfloat16"]
    assert choice.chosen.storage == "float32"
    assert all(torch.equal(choice.module.tensor(name), tensor) for name, tensor in module.memory.items())
    told = [str(note.message) for note in notes if hasattr(note, "message")]
    assert [line for line in told if "float16 would change its test error by" in line]


def test_bfloat16_is_taken_where_float16_cannot_hold_the_numbers(module, elements):
    """Weights above 65504 exist in float32 and bfloat16 only."""
    weight = module.memory["head.layers.3.weight"].clone()
    large = changed(module, **{"head.layers.3.weight": weight * 1e7})
    choice = choose_storage(large, elements, ROWS, tolerance=0.5, device="cpu")
    assert choice.module.card.storage == "bfloat16"
    assert [trial.storage for trial in choice.trials] == ["float32", "bfloat16"]


def test_classes_are_judged_by_their_accuracy(elements):
    module = with_head(real_module("m", 1, backbone="chgnet", noise=0.01), outputs=2)
    target = Target(task="metal", property="metal or not", unit="", kind="classification", n_classes=2)
    module = Module(module.card.model_copy(update={"target": target}), memory=module.memory)
    data = replace(elements, targets=(np.arange(len(elements)) % 2).astype(float))
    choice = choose_storage(module, data, np.arange(12), device="cpu")
    assert choice.module.card.metrics.test_accuracy == choice.chosen.errors.accuracy
    assert choice.module.card.metrics.test_mae is None
    assert choice.module.card.storage == "float16"


def test_what_cannot_be_measured_is_refused(module, elements):
    with pytest.raises(InputError, match="no row to measure"):
        choose_storage(module, elements, ROWS[:0], device="cpu")
    with pytest.raises(InputError, match="is stored in float16 already"):
        choose_storage(stored_as(module, "float16"), elements, ROWS, device="cpu")
    headless = Module(module.card.model_copy(update={"head": None}), memory=module.memory)
    with pytest.raises(InputError, match="has no head"):
        choose_storage(headless, elements, ROWS, device="cpu")


@pytest.mark.parametrize("name", ["mp_kvrh", "castelli_eform"])
def test_a_trained_module_of_the_built_in_hub(shared, monkeypatch, name):
    """Float16 changes its test MAE by far less than the tolerance; 60 test rows are enough to see that."""
    from moma_app.tasks import get_task

    monkeypatch.setenv("MOMA_DATA", str(shared / "data"))
    module = Hub.open("builtin")[name]
    if module.card.storage != "float32":
        pytest.skip(f"the built-in {name} is in {module.card.storage} already")
    task = get_task(name)
    data = task.load()
    assert data.content_hash() == module.card.data.hash
    rows = task.split(module.card.data.split_seed).test
    small = rows[data.structures.n_atoms[rows] <= 8][:60]
    choice = choose_storage(module, data, small, device="cpu")
    assert choice.module.card.storage == "float16"
    assert choice.chosen.change < 0.002
