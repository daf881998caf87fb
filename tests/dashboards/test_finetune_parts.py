"""What the Fine-tune page works out without a browser: recipes from texts, time left, comparisons."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.parts.finetune_form import STARTS, FinetuneState, modules_in
from dashboards.parts.finetune_result import result_facts
from dashboards.parts.finetune_specs import describe, from_start, with_seed
from dashboards.parts.finished_fits import FinishedFit, comparison_rows, groups_of
from dashboards.parts.recipe_fields import (
    USUAL,
    attribute_texts,
    changes_between,
    settings,
    values_of,
    with_changes,
)
from moma_app.errors import InputError, UnknownNameError
from moma_app.plots.fit_progress import About, FitProgress
from moma_app.progress import EpochEnded, FitEnded, ModuleEncoded, RunChanged, WeightsSolved
from moma_app.training.outcome import Curve, FitReport
from moma_app.training.recipe import Recipe, load_recipe, recipe_names
from moma_app.training.settings import FitConfig, HeadConfig

TASK = "elemental_bulk_modulus"


# -- recipes -------------------------------------------------------------------------------------


def test_every_setting_of_a_recipe_has_a_field_with_a_description():
    decided = {"name", "outputs", "head", "fit"}  # by the task, or of settings themselves
    wanted = {
        field.name for owner in (Recipe, FitConfig, HeadConfig) for field in dataclasses.fields(owner)
    } - decided
    assert {path.rpartition(".")[2] for path in settings()} == wanted
    assert all(setting.description for setting in settings().values())
    assert list(settings())[: len(USUAL)] == list(USUAL)


def test_descriptions_are_those_of_the_docstring_however_many_names_share_one():
    class Owner:
        """What it is.

        Attributes:
            first, second: of both, on
                two lines.
            third: ``x`` alone.

        And more.
        """

    texts = attribute_texts(Owner)
    assert texts["first"] == texts["second"] == "Of both, on two lines."
    assert texts["third"].startswith("X alone.")


@pytest.mark.parametrize("name", recipe_names())
def test_the_values_of_each_recipe_can_be_typed_again(name):
    recipe = load_recipe(name)
    for path, value in values_of(recipe).items():
        assert settings()[path].read(settings()[path].show(value)) == value


@given(
    epochs=st.integers(1, 10_000),
    rate=st.floats(1e-12, 1e3),
    atoms=st.none() | st.integers(1, 500),
    layers=st.sampled_from([None, "all", "last"]),
    dropout=st.floats(0, 1, exclude_max=True),
)
def test_an_address_holds_a_changed_recipe_exactly(epochs, rate, atoms, layers, dropout):
    base = load_recipe("finetune")
    values = {
        "fit.epochs": epochs,
        "fit.learning_rate": rate,
        "max_atoms": atoms,
        "layers": layers,
        "head.dropout": dropout,
    }
    changed = base.replaced(values)
    state = FinetuneState()
    state.changes = changes_between(base, changed)
    assert with_changes(base, FinetuneState(state.query).changes) == changed


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("fit.epochs:0", "at least 1, not 0"),
        ("fit.epochs:2.5", "whole number"),
        ("fit.epochs:", "empty"),
        ("fit.learning_rate:0", "more than 0"),
        ("fit.learning_rate:fast", "must be a number, not 'fast'"),
        ("fit.learning_rate:nan", "more than 0, not nan"),
        ("fit.learning_rate:inf", "not inf"),
        ("fit.ema_decay:1", "less than 1"),
        ("fit.warmup:1.5", "at most 1"),
        ("fit.seed:-1", "at least 0"),
        ("max_atoms:0", "at least 1"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_the_reason(change, part):
    with pytest.raises(InputError, match=part):
        with_changes(load_recipe("finetune"), [change])


def test_unknown_settings_and_choices_are_named_with_what_is_close():
    with pytest.raises(UnknownNameError, match=r"fit\.epochs"):
        with_changes(load_recipe("finetune"), ["fit.epoch:3"])
    with pytest.raises(UnknownNameError, match="uniform"):
        with_changes(load_recipe("finetune"), ["sampling:unifrm"])


# -- the run that the form describes -------------------------------------------------------------


def test_the_form_becomes_the_run_that_the_command_line_would_start(tmp_path):
    from moma_app.tasks import get_task
    from moma_app.work.composing import AMC
    from moma_app.work.finetune import finetune_spec

    state = FinetuneState(f"?task={TASK}&split=2&shots=10&hub=builtin&changes=fit.epochs:3,fit.seed:4")
    recipe = load_recipe("finetune").with_fit(epochs=3, seed=4)
    expected = finetune_spec(get_task(TASK), recipe, split=2, shots=10, amc=AMC("builtin"))
    assert state.spec() == expected

    module = FinetuneState(f"?task={TASK}&start=module&module=mp_gvrh&hub=builtin").spec()
    assert module.arguments["start"] == "mp_gvrh"
    assert FinetuneState(f"?task={TASK}&start=backbone").spec().arguments["amc"] is None


def test_what_cannot_be_run_is_refused_before_it_starts():
    with pytest.raises(InputError, match="Choose the module"):
        FinetuneState(f"?task={TASK}&start=module").spec()
    with pytest.raises(InputError, match="50 shots cannot be drawn"):
        FinetuneState(f"?task={TASK}&shots=50").spec()
    with pytest.raises(UnknownNameError):
        FinetuneState("?task=nothing").spec()


@pytest.mark.parametrize(
    "query", ["start=composed&hub=builtin", "start=module&module=mp_kvrh", "start=scratch&split=1"]
)
def test_a_run_fills_the_form_that_describes_it_again(query):
    spec = FinetuneState(f"?task={TASK}&{query}").spec()
    state = FinetuneState()
    state.take(spec.arguments)
    assert state.start in STARTS.values()
    assert state.spec().digest == spec.digest


def test_modules_are_offered_by_kind_with_what_they_predict():
    offered = modules_in("builtin", "full")
    assert {"castelli_eform", "mp_bandgap", "mp_gvrh", "mp_kvrh"} <= set(offered.values())
    assert any("log10(GPa)" in label for label in offered)
    assert "mp_gvrh" not in modules_in("builtin", "adapter").values()


def test_a_repetition_differs_in_the_seed_alone_and_other_starts_keep_the_rows():
    spec = FinetuneState(
        f"?task={TASK}&split=1&shots=20&start=module&module=mp_gvrh&changes=fit.epochs:3"
    ).spec()
    again = with_seed(spec, 5)
    assert again.arguments["recipe"]["fit"].pop("seed") == 5
    spec.arguments["recipe"]["fit"].pop("seed")
    assert again.arguments == spec.arguments

    spec = FinetuneState(
        f"?task={TASK}&split=1&shots=20&start=module&module=mp_gvrh&changes=fit.epochs:3"
    ).spec()
    for start in ("composed", "backbone", "scratch", "instant"):
        other = from_start(spec, start)
        assert (other.arguments["split"], other.arguments["shots"], other.task) == (1, 20, TASK)
        assert other.unit == ("compose" if start == "instant" else "finetune")
    composed = from_start(spec, "composed").arguments
    assert composed["recipe"] == spec.arguments["recipe"]
    assert len(composed["amc"]["modules"]) > 1
    assert "from the module mp_gvrh, split 1, 20 training structures, seed 0, at most 3 epochs" in describe(
        spec
    )


# -- progress ------------------------------------------------------------------------------------


def epoch(number: int, val: float, *, epochs: int = 10, seconds: float = 2.0) -> EpochEnded:
    return EpochEnded(
        epoch=number,
        epochs=epochs,
        train_error=val / 2,
        val_error=val,
        learning_rate=1e-3,
        seconds=seconds,
        structures_per_second=40.0,
    )


def test_the_time_left_is_that_of_the_epochs_left_at_the_recent_pace():
    progress = FitProgress()
    assert progress.seconds_left is None
    progress.take([epoch(1, 1.0, seconds=100.0), *(epoch(n, 1.0, seconds=2.0) for n in range(2, 7))])
    assert progress.seconds_left == pytest.approx(4 * 2.0)
    assert progress.facts("eV")["Time left"] == "at most 8.0 s"
    progress.take([FitEnded(epochs=6, best_epoch=1, best_val_error=1.0, reason="", seconds=1.0)])
    assert progress.seconds_left is None


def test_the_best_epoch_is_the_first_with_the_lowest_error():
    progress = FitProgress()
    progress.take([epoch(1, 0.5), epoch(2, 0.25), epoch(3, 0.25), epoch(4, 0.3)])
    assert progress.best is not None
    assert progress.best.epoch == 2
    facts = progress.facts("log10(GPa)")
    assert facts["Epoch"] == "4 of 10 (best 2)"
    assert facts["Best validation MAE"] == "0.250 log10(GPa)"
    assert facts["Throughput"] == "40.0 structures/s"
    assert "Best validation log loss" in progress.facts("", classes=True)


def test_a_resumed_run_goes_on_where_its_last_epoch_ended():
    progress = FitProgress()
    progress.take([epoch(1, 0.5), epoch(2, 0.4), RunChanged(state="cancelled")])
    assert progress.over
    assert progress.seconds_left is None
    progress.take([RunChanged(state="running"), epoch(2, 0.45), epoch(3, 0.3)])
    assert [event.epoch for event in progress.epochs] == [1, 2, 3]
    assert progress.epochs[1].val_error == 0.45
    assert progress.seconds_left is not None


def test_modules_and_weights_are_kept_as_they_come():
    progress = FitProgress()
    encoded = ModuleEncoded(
        module="a", index=0, total=2, proxy_mae=0.3, proxy_mae_standardised=0.5, seconds=1.0
    )
    progress.take([encoded, WeightsSolved(weights={"a": 1.0}, objective=0.1), encoded])
    assert list(progress.modules) == ["a"]
    assert progress.weights == {"a": 1.0}
    assert About().modules == ()


# -- comparison ----------------------------------------------------------------------------------


def fit(start: str, errors: list[float], *, seed: int = 0, config: dict | None = None, **other) -> FitReport:
    targets = [float(n) for n in range(len(errors))]
    mae = sum(abs(error) for error in errors) / len(errors)
    values = {
        "label": {"composed": "composed module", "backbone": "bare backbone"}.get(start, start),
        "start": start,
        "task": TASK,
        "property": "bulk modulus",
        "unit": "GPa",
        "split": 0,
        "shots": None,
        "seed": seed,
        "metrics": {"mae": mae, "mad": 2 * mae, "rmse": mae, "r2": 0.5, "n": len(errors)},
        "ids": [str(n) for n in range(len(errors))],
        "targets": targets,
        "predicted": [target + error for target, error in zip(targets, errors, strict=True)],
        "config": config if config is not None else load_recipe("finetune").with_fit(seed=seed).to_dict(),
    }
    return FitReport(**{**values, **other})


def test_fits_are_compared_with_the_one_that_is_shown_best_first():
    many = 50
    fits = [
        FinishedFit("a" * 32, "", fit("composed", [1.0] * many)),
        FinishedFit("b" * 32, "", fit("backbone", [1.5] * many)),
        FinishedFit("c" * 32, "", fit("instant:composed", [0.5, -1.6] * (many // 2), config={}, curve=None)),
    ]
    rows = comparison_rows(fits, "a" * 32)
    assert [row["run"] for row in rows] == ["a" * 8, "c" * 8, "b" * 8]
    assert rows[0]["difference"] == "this run"
    assert rows[1]["difference"] == "+5.0 %, within noise"
    assert rows[2]["difference"] == "+50.0 %"
    assert rows[0]["of_mad"] == pytest.approx(0.5)
    assert [row["settings"] for row in rows] == ["", "", ""]


def test_seeds_of_one_start_share_a_bar_and_other_settings_have_their_own():
    longer = load_recipe("finetune").with_fit(epochs=99, seed=1).to_dict()
    fits = [
        FinishedFit("a" * 32, "", fit("composed", [1.0])),
        FinishedFit("b" * 32, "", fit("composed", [2.0], seed=1)),
        FinishedFit("c" * 32, "", fit("composed", [0.5], seed=1, config=longer)),
        FinishedFit("d" * 32, "random", fit("composed", [3.0])),
    ]
    groups = groups_of(comparison_rows(fits, "a" * 32), "a" * 32)
    assert groups == {
        "composed module": [1.0, 2.0],
        "composed module, epochs 99": [0.5],
        "composed module, random": [3.0],
    }


def test_classes_are_compared_by_the_share_of_wrong_ones():
    metrics = {"accuracy": 0.75, "macro_f1": 0.7, "n": 4}
    classes = fit("backbone", [0.0, 0.0, 0.0, 1.0], metrics=metrics, unit="")
    (row,) = comparison_rows([FinishedFit("a" * 32, "", classes)], "a" * 32)
    assert row["error"] == pytest.approx(0.25)
    assert row["of_mad"] is None
    assert result_facts(classes)["Accuracy"] == "75.0 %"


def test_the_result_is_told_with_units():
    curve = Curve([1, 2], [0.2, 0.1], [0.3, 0.2], [1e-3, 1e-3])
    facts = result_facts(fit("composed", [0.1, -0.3], curve=curve, best_epoch=2, seconds=65.0))
    assert facts["Test MAE"] == "0.200 GPa"
    assert facts["MAE/MAD"] == "0.500"
    assert facts["Epochs"] == "2 (kept 2)"
    assert facts["Time"] == "1 min 5 s"


# -- the worst structures --------------------------------------------------------------------------


def test_a_worst_structure_is_found_by_its_place_among_the_test_rows():
    from dashboards.parts.finetune_worst import structure_of
    from moma_app.errors import DataNotFoundError
    from moma_app.plots.analysis_values import WorstRow
    from moma_app.tasks import get_task

    task = get_task(TASK)
    data, test = task.load(), task.split(0).test
    row = WorstRow(
        position=3, id=data.ids[test[3]], formula="", n_atoms=1, error=0.5, true=1.0, predicted=1.5
    )
    payload = structure_of(fit("composed", [0.5]), row)
    assert payload["label"] == data.ids[test[3]]
    assert payload["n_atoms"] == len(data.structures[int(test[3])])
    assert payload["note"] == "true 1.000 GPa, predicted 1.500 GPa"
    with pytest.raises(DataNotFoundError, match="has changed"):
        structure_of(fit("composed", [0.5]), dataclasses.replace(row, id="something else"))
