"""What is drawn, before it is drawn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from moma_app.errors import InputError, UnknownNameError
from moma_app.plots import bar_values, parity_values, payloads


def test_bars_are_sorted_by_weight_then_error(result_of):
    bars = bar_values.module_bars(result_of(40, 5)).bars
    keys = [(-bar.weight, bar.proxy_mae) for bar in bars]
    assert keys == sorted(keys)
    assert bars[0].weight > 0


def test_bars_hold_the_values_of_the_result(result):
    by_name = {score.module: score for score in result.modules}
    for bar in bar_values.module_bars(result).bars:
        score = by_name[bar.module]
        assert (bar.weight, bar.proxy_mae) == (score.weight, score.proxy_mae)
        assert bar.proxy_mae_standardised == score.proxy_mae_standardised


@pytest.mark.parametrize(("n", "shown"), [(1, 1), (4, 4), (30, 30), (31, 30), (400, 30)])
def test_at_most_thirty_bars(result_of, n, shown):
    data = bar_values.module_bars(result_of(n, 1))
    assert len(data.bars) == shown
    assert data.n_hidden == n - shown
    assert bool(data.note) == (n > shown)


def test_note_says_what_is_hidden(result_of):
    assert bar_values.module_bars(result_of(400, 2)).note == "370 more modules with weight 0 not shown"
    assert bar_values.module_bars(result_of(31, 2)).note == "1 more module with weight 0 not shown"
    crowded = bar_values.module_bars(result_of(60, 40))
    assert crowded.n_hidden_weighted == 10
    assert crowded.note.startswith("30 more modules not shown: 20 with weight 0, 10 with ")
    assert sum(bar.weight for bar in crowded.bars) + crowded.hidden_weight == pytest.approx(1)
    assert (
        bar_values.module_bars(result_of(40), "proxy error").note
        == "10 more modules with higher errors not shown"
    )


def test_long_names_stay_distinct(result):
    same = [replace(score, module="a" * 60 + str(i) + "b" * 60) for i, score in enumerate(result.modules)]
    bars = bar_values.module_bars(replace(result, modules=same)).bars
    assert len({bar.label for bar in bars}) == 4
    assert all(len(bar.label) <= bar_values.LABEL_LENGTH + 4 for bar in bars)


def test_no_module_is_an_error(result):
    with pytest.raises(InputError, match="no module"):
        bar_values.module_bars(replace(result, modules=[]))


def test_curves_and_their_best_point(fits):
    data = payloads.curves(fits)
    assert [line.label for line in data.series] == ["composed module", "bare backbone"]
    assert data.error == "MAE [log10(GPa)]"
    for line, fit in zip(data.series, fits, strict=True):
        assert line.best == (fit.best_epoch, min(fit.curve.val_error))


def test_log_axis_only_for_wide_positive_curves(fit_of):
    fit = fit_of()
    assert payloads.curves([fit]).log
    narrow = replace(fit, curve=replace(fit.curve, train_error=[0.5] * 40, val_error=[0.6] * 40))
    assert not payloads.curves([narrow]).log
    zero = replace(fit, curve=replace(fit.curve, train_error=[0.0] * 40))
    assert not payloads.curves([zero]).log
    broken = replace(fit, curve=replace(fit.curve, train_error=[math.nan] * 40, val_error=[math.nan] * 40))
    assert not payloads.curves([broken]).log


def test_fits_without_curve_are_left_out(fit_of):
    instant = fit_of("instant predictor", "instant", curve=False)
    assert len(payloads.curves([instant, fit_of()]).series) == 1
    with pytest.raises(InputError, match="learning curve"):
        payloads.curves([instant])


def test_classification_curves_are_log_loss(classification_of):
    assert payloads.curves([classification_of()]).error == "Log loss"


def test_labels_of_repeated_fits(fit_of):
    assert payloads.fit_labels([fit_of(seed=1), fit_of(seed=2)]) == [
        "composed module, seed 1",
        "composed module, seed 2",
    ]
    assert payloads.fit_labels([fit_of(), fit_of()]) == ["composed module", "composed module (2)"]
    assert payloads.fit_labels([fit_of("")]) == ["fit"]


def test_parity_values(fits):
    data = parity_values.parity_values(fits)
    line = data.series[0]
    assert (line.true, line.predicted, line.ids) == (fits[0].targets, fits[0].predicted, fits[0].ids)
    assert line.mae == fits[0].metrics["mae"]
    low, high = data.limits
    for fit in fits:
        assert low < min(*fit.targets, *fit.predicted)
        assert high > max(*fit.targets, *fit.predicted)


def test_large_parity_keeps_the_extremes_and_the_error_of_all(fit_of):
    fit = fit_of(n=20_000, std=True)
    line = parity_values.parity_values([fit], 1000).series[0]
    assert len(line.ids) == len(line.true) == len(line.predicted) == len(line.std) == 1000
    assert line.n == 20_000
    assert line.mae == fit.metrics["mae"]
    assert (min(line.true), max(line.true)) == (min(fit.targets), max(fit.targets))
    assert [fit.targets[row] for row in line.rows] == line.true
    at = dict(zip(fit.ids, fit.targets, strict=True))
    assert all(at[i] == t for i, t in zip(line.ids, line.true, strict=True))


def test_limits_of_equal_and_of_missing_values(fit_of):
    fit = fit_of(n=3)
    same = parity_values.parity_values([replace(fit, targets=[2.0] * 3, predicted=[2.0] * 3)]).limits
    assert same[0] < 2 < same[1]
    nothing = replace(fit, targets=[math.nan] * 3, predicted=[math.inf] * 3)
    assert parity_values.parity_values([nothing]).limits == (0, 1)


def test_parity_refuses_what_cannot_share_axes(fit_of, classification_of):
    with pytest.raises(InputError, match="at least one"):
        parity_values.parity_values([])
    with pytest.raises(InputError, match="confusion"):
        parity_values.parity_values([classification_of()])
    with pytest.raises(InputError, match="different properties"):
        parity_values.parity_values([fit_of(), replace(fit_of(), unit="eV")])
    with pytest.raises(InputError, match="do not match"):
        parity_values.parity_values([replace(fit_of(), ids=["a"])])


def test_knn_values(result):
    line = parity_values.knn_values(result, "mp_gvrh").series[0]
    score = result.modules[1]
    assert (line.true, line.predicted) == (result.train_targets, score.predictions)
    assert line.mae == score.proxy_mae
    with pytest.raises(UnknownNameError, match="mp_gvrh"):
        parity_values.knn_values(result, "mp_gvr")


def test_confusion_counts(classification_of):
    fit = classification_of()
    data = parity_values.confusion_counts(fit)
    counts = np.array(data.counts)
    assert counts.sum() == 60
    assert counts.trace() / 60 == pytest.approx(data.accuracy)
    true, predicted = np.array(fit.targets), np.array(fit.predicted)
    assert counts[0, 1] == ((true == 0) & (predicted == 1)).sum()


def test_confusion_needs_classes(fit_of):
    with pytest.raises(InputError, match="numbers"):
        parity_values.confusion_counts(fit_of())
