"""The fit loop: it learns, repeats itself, resumes, stops, and says when it diverges."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from moma_app.backbones.adapters import attach_adapters
from moma_app.errors import CancelledError, InputError, TrainingDivergedError
from moma_app.progress import EpochEnded, FitEnded
from moma_app.training.loop import fit
from moma_app.training.settings import FitConfig

SHORT = FitConfig(epochs=3, batch_size=8, learning_rate=3e-4, head_learning_rate=3e-3, ema_decay=0.5)


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_equal_states(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], **tolerance, msg=lambda m, n=name: f"{n}: {m}")


def test_a_fit_learns_and_reports_each_epoch(new_model, fit_data, scale, tmp_path):
    events = []
    config = dataclasses.replace(SHORT, epochs=6)
    result = fit(new_model(), fit_data, scale, config, tmp_path, device="cpu", progress=events.append)
    epochs = [event for event in events if isinstance(event, EpochEnded)]
    assert [event.epoch for event in epochs] == list(range(1, 7))
    assert epochs[-1].train_error < 0.8 * epochs[0].train_error
    assert isinstance(events[-1], FitEnded)
    assert result.best_val_error == pytest.approx(min(e.val_error for e in epochs))
    assert result.best_val_error == pytest.approx(epochs[result.best_epoch - 1].val_error)
    assert result.trainable_parameters < result.total_parameters  # basis frequencies stay fixed


def test_same_seed_same_weights_other_seed_other_weights(new_model, fit_data, scale, tmp_path):
    models = [new_model(dropout=0.2) for _ in range(3)]
    for number, (model, seed) in enumerate(zip(models, (1, 1, 2), strict=True)):
        config = dataclasses.replace(SHORT, seed=seed, epochs=2)
        fit(model, fit_data, scale, config, tmp_path / str(number), device="cpu")
    assert_equal_states(state_of(models[0]), state_of(models[1]), rtol=0, atol=0)
    assert not torch.equal(models[0].head.layers[0].weight, models[2].head.layers[0].weight)


def test_a_resumed_fit_ends_as_an_undisturbed_one(new_model, fit_data, scale, tmp_path):
    undisturbed = new_model(dropout=0.2)
    whole = fit(undisturbed, fit_data, scale, SHORT, tmp_path / "whole", device="cpu")

    steps = iter(range(100))
    stopped = new_model(dropout=0.2)
    with pytest.raises(CancelledError, match="resumed"):  # in the middle of the second of three epochs
        fit(stopped, fit_data, scale, SHORT, tmp_path / "cut", device="cpu", stop=lambda: next(steps) == 5)
    resumed = new_model(dropout=0.2)
    rest = fit(resumed, fit_data, scale, SHORT, tmp_path / "cut", device="cpu", resume=True)

    assert [e.epoch for e in rest.curve] == [1, 2, 3]
    for ours, theirs in zip(rest.curve, whole.curve, strict=True):
        assert ours.val_error == pytest.approx(theirs.val_error, rel=1e-6)
        assert ours.learning_rate == pytest.approx(theirs.learning_rate)
    assert_equal_states(state_of(resumed), state_of(undisturbed), rtol=1e-6, atol=1e-7)


def test_epochs_without_improvement_are_not_repeated_either(new_model, fit_data, scale, tmp_path):
    config = dataclasses.replace(SHORT, epochs=4, learning_rate=0.0, head_learning_rate=0.0)
    ended = []
    with pytest.raises(CancelledError):  # in the fourth epoch
        fit(
            new_model(),
            fit_data,
            scale,
            config,
            tmp_path,
            device="cpu",
            progress=ended.append,
            stop=lambda: len(ended) == 3,
        )
    events = []
    result = fit(
        new_model(), fit_data, scale, config, tmp_path, device="cpu", resume=True, progress=events.append
    )
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [4]
    assert [event.epoch for event in result.curve] == [1, 2, 3, 4]
    assert result.best_epoch == 1


def test_without_resume_old_checkpoints_are_not_used(new_model, fit_data, scale, tmp_path):
    fit(new_model(), fit_data, scale, SHORT, tmp_path, device="cpu")
    again = fit(new_model(), fit_data, scale, SHORT, tmp_path, device="cpu")
    assert len(again.curve) == 3


def test_divergence_names_epoch_and_learning_rate(new_model, fit_data, scale, tmp_path):
    config = dataclasses.replace(
        SHORT, epochs=20, learning_rate=1e4, head_learning_rate=1e4, gradient_clip=1e9, warmup=0.0
    )
    with pytest.raises(TrainingDivergedError, match=r"epoch \d+ .*learning rate of"):
        fit(new_model(), fit_data, scale, config, tmp_path, device="cpu")


def test_early_stopping_keeps_the_best_epoch(new_model, fit_data, scale, tmp_path):
    config = dataclasses.replace(SHORT, epochs=40, early_stopping=2, learning_rate=3e-3, ema_decay=0.0)
    result = fit(new_model(), fit_data, scale, config, tmp_path, device="cpu")
    assert len(result.curve) < 40
    assert result.reason == "no improvement for 2 epochs"
    assert result.best_epoch == len(result.curve) - 2


def test_adapters_train_with_the_backbone_frozen(new_model, fit_data, scale, tmp_path):
    model = new_model()
    attach_adapters(model.network, 64, 4)
    before = state_of(model)
    result = fit(
        model, fit_data, scale, dataclasses.replace(SHORT, trainable="adapter"), tmp_path, device="cpu"
    )
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all("adapters." in name or name.startswith("head.") for name in changed)
    assert any("adapters." in name for name in changed)
    assert result.trainable_parameters < 0.1 * result.total_parameters


def test_only_the_head_trains_if_asked(new_model, fit_data, scale, tmp_path):
    model = new_model()
    before = state_of(model)
    fit(model, fit_data, scale, dataclasses.replace(SHORT, trainable="head"), tmp_path, device="cpu")
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("head.") for name in changed)


def test_no_rows_is_an_error(new_model, fit_data, scale, tmp_path):
    empty = dataclasses.replace(fit_data, val=fit_data.val[:0])
    with pytest.raises(InputError, match="at least one training and one validation row"):
        fit(new_model(), empty, scale, SHORT, tmp_path, device="cpu")


def test_errors_are_in_the_unit_of_the_task(new_model, fit_data, scale, tmp_path):
    """The recorded validation error is the mean absolute error of the restored predictions."""
    model = new_model()
    result = fit(model, fit_data, scale, SHORT, tmp_path, device="cpu")
    with torch.no_grad():
        outputs = scale.restore(model(fit_data.graphs.batch(fit_data.val)))[:, 0]
    error = float((outputs - torch.from_numpy(fit_data.targets[fit_data.val])).abs().mean())
    assert error == pytest.approx(result.best_val_error, rel=1e-4)
    assert math.isfinite(error)
