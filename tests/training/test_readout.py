"""Gaussian processes: leave-one-out, robustness, calibration, saving."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from moma_app.training.readout import (
    FEW,
    NORMAL_90,
    calibration,
    coverage,
    fit_gaussian_readout,
    readout_from,
    standardise,
)
from moma_app.training.robust_gp import GaussianProcess, fit_gaussian_process


def problem(n: int, seed: int, outliers: int = 0):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(n, 3))
    truth = np.sin(inputs[:, 0]) + 0.5 * inputs[:, 1]
    targets = truth + 0.05 * generator.normal(size=n)
    targets[:outliers] += 20 * generator.choice([-1, 1], size=outliers)
    return inputs, truth, targets


def test_leave_one_out_equals_refitting_without_the_row():
    inputs, _, targets = problem(25, 0)
    noise = np.full(25, 0.1)
    whole = GaussianProcess(inputs, targets, 1.3, 0.9, noise, 0.1)
    residuals = whole.leave_one_out()
    for row in (0, 7, 24):
        rest = np.delete(np.arange(25), row)
        without = GaussianProcess(inputs[rest], targets[rest], 1.3, 0.9, noise[rest], 0.1)
        mean, _ = without.predict(inputs[[row]])
        assert targets[row] - mean[0] == pytest.approx(residuals[row], abs=1e-8)


def test_student_t_noise_withstands_outliers():
    inputs, _, targets = problem(150, 1, outliers=10)
    mean, std = targets.mean(), targets.std()
    test_inputs, test_truth, _ = problem(100, 2)
    errors = {}
    for noise in ("gaussian", "student-t"):
        process = fit_gaussian_process(inputs / np.sqrt(3), (targets - mean) / std, noise)
        predicted = process.predict(test_inputs / np.sqrt(3))[0] * std + mean
        errors[noise] = np.abs(predicted - test_truth).mean()
    assert errors["student-t"] < 0.5 * errors["gaussian"]


def test_the_better_noise_model_on_validation_rows_is_kept():
    inputs, _, targets = problem(120, 3, outliers=8)
    val, _, val_targets = problem(60, 4)
    readout, errors = fit_gaussian_readout(
        torch.from_numpy(inputs), targets, torch.from_numpy(val), val_targets
    )
    assert errors[readout.noise] == min(errors.values())
    values, deviations = readout.predict(torch.from_numpy(val))
    assert np.abs(values - val_targets).mean() == pytest.approx(errors[readout.noise])
    assert coverage(values, deviations, val_targets) >= 0.9  # calibrated on these very rows


def test_a_saved_readout_gives_the_very_same_numbers():
    inputs, _, targets = problem(60, 5)
    rows = torch.from_numpy(inputs).float()
    readout, _ = fit_gaussian_readout(rows, targets, rows[:30], targets[:30])
    again = readout_from(readout.config(), load(save(readout.tensors())))
    for ours, theirs in zip(readout.predict(rows), again.predict(rows), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_features_without_variance_do_not_blow_up():
    inputs, _, targets = problem(40, 6)
    constant = np.concatenate([inputs, np.full((40, 1), 7.0)], axis=1)
    rows = torch.from_numpy(constant)
    readout, _ = fit_gaussian_readout(rows, targets, rows, targets)
    shifted = constant.copy()
    shifted[:, 3] += 5.0
    np.testing.assert_allclose(
        readout.predict(torch.from_numpy(shifted))[0], readout.predict(rows)[0], atol=1e-9
    )
    assert np.isfinite(standardise(constant, readout.center, readout.spread)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(FEW, 200), st.floats(0.1, 5), st.integers(0, 1000))
def test_calibration_covers_ninety_percent_of_the_rows_it_saw(n, width, seed):
    ratios = np.abs(np.random.default_rng(seed).normal(scale=width, size=n))
    covered = np.mean(ratios <= NORMAL_90 * calibration(ratios) + 1e-12)
    assert 0.9 <= covered <= 1.0
    assert covered <= 0.9 + 3 / n


def test_few_rows_are_not_calibrated_with():
    assert calibration(np.ones(FEW - 1)) == 1.0


def test_on_real_data_the_instant_predictor_beats_the_authors_networks(shared, monkeypatch):
    """jarvis_2d_eform, split 0, the bare backbone: at most 0.065 eV/atom."""
    from moma_app.backbones.registry import get_backbone
    from moma_app.config import get_settings
    from moma_app.tasks import get_task
    from moma_app.training.instant import fit_instant
    from moma_app.training.start import Start

    monkeypatch.setenv("MOMA_DATA", str(shared / "data"))
    predictor, report = fit_instant(
        get_task("jarvis_2d_eform"),
        Start.bare(get_backbone("chgnet")),
        0,
        graph_folder=get_settings().graph_folder,
        device="cpu",
    )
    assert report.metrics["mae"] <= 0.065
    assert 0.8 <= report.metrics["coverage90"] <= 1.0
    assert predictor.info.metrics == report.metrics
