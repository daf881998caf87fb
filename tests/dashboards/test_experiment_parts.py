"""What the pages of experiments work out without a browser: plans from addresses, settings of learners, tables."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Literal

import pytest
from builtin_hub import FULL
from hypothesis import given
from hypothesis import strategies as st
from module_factory import make_card, make_module

from dashboards.components.multi_picker import SHOWN, MultiPicker, summary
from dashboards.parts import ablation_results, continual_results, few_shot_results
from dashboards.parts.experiment_results import csv_of
from dashboards.parts.experiment_state import AblationState, ContinualState, FewShotState, read_shots
from dashboards.parts.hub_offers import hub_offers
from dashboards.parts.learner_options import option_fields, read_options, usable_learners
from dashboards.parts.method_offers import method_offers
from moma_app.errors import InputError, UnknownNameError
from moma_app.experiments.ablation import Ablation
from moma_app.experiments.cells import Cell
from moma_app.experiments.continual import task_means
from moma_app.experiments.learners import finetune, instant
from moma_app.experiments.methods import ABLATION, METHODS
from moma_app.experiments.registry import Options
from moma_app.experiments.results import CellResult
from moma_app.hub.hub import Hub

TASK = "elemental_bulk_modulus"


# -- from an address to a plan -------------------------------------------------------------------


def test_the_plain_ablation_is_the_paper_s():
    plan = AblationState(f"?tasks={TASK}").plan()
    assert plan == Ablation(tasks=(TASK,))
    assert plan.methods == ABLATION
    assert plan.learners == ("instant",)


def test_all_of_an_address_reaches_the_plan():
    state = AblationState(
        f"?tasks={TASK},mp_phonons&splits=0,3&seeds=1,2&learner=finetune&options=epochs:5,recipe:short-cpu&hub=builtin"
        "&modules=mp_kvrh,mp_gvrh&k=7&t=0.5&methods=bare,scratch&shots=20"
    )
    assert state.refused == []
    plan = state.plan()
    assert plan.tasks == (TASK, "mp_phonons")
    assert (plan.splits, plan.seeds, plan.shots) == ((0, 3), (1, 2), 20)
    assert plan.options == {"finetune": {"epochs": 5, "recipe": "short-cpu"}}
    assert (plan.hub, plan.modules, plan.k, plan.temperature) == ("builtin", ("mp_kvrh", "mp_gvrh"), 7, 0.5)
    assert plan.methods == ("amc", "bare", "scratch")
    assert AblationState(state.query).plan() == plan


@pytest.mark.parametrize("query", ["?splits=x", "?seeds=0,-", "?k=0", "?t=0", "?kind=half"])
def test_what_no_plan_can_have_is_refused_and_told(query):
    assert AblationState(query).refused == [query[1:]]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "Choose at least one dataset"),
        ("?tasks=a&splits=", "at least one"),
        ("?tasks=a&splits=-1", "0 or more"),
        ("?tasks=a&learner=wizard", "wizard"),
        ("?tasks=a&methods=magic", "magic"),
        ("?tasks=a&options=speed:9", "speed"),
        ("?tasks=a&learner=finetune&options=epochs:none", "epochs"),
        ("?tasks=a&learner=finetune&options=recipe:/etc/passwd", "/etc/passwd"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(query, sentence):
    with pytest.raises((InputError, UnknownNameError), match=sentence):
        AblationState(query).plan()


def test_few_shot_numbers_are_free_and_sorted():
    plan = FewShotState(f"?tasks={TASK}&shots=full,100,7").plan()
    assert plan.shots == (7, 100, None)
    assert plan.methods == ("amc", "bare")
    assert FewShotState(f"?tasks={TASK}").plan().shots == (10, 100, None)


@given(st.integers(1, 10**6))
def test_numbers_of_structures_are_read(n):
    assert read_shots(f" {n} ") == n


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "many", ""])
def test_no_number_of_structures(text):
    with pytest.raises(InputError, match="whole number of 1 or more"):
        read_shots(text)


def test_what_is_drawn_is_no_part_of_the_plan():
    one = FewShotState(f"?tasks={TASK}")
    other = FewShotState(f"?tasks={TASK}&task={TASK}&spread=range")
    assert one.plan() == other.plan()
    assert {"task", "spread"} == set(FewShotState.shown)


def test_the_hub_before_is_the_hub_without_what_is_added():
    plan = ContinualState(f"?tasks={TASK}&hub=builtin&added=mp_kvrh").plan()
    assert sorted(plan.before) == [name for name in FULL if name != "mp_kvrh"]
    assert sorted(plan.after) == FULL
    few = ContinualState(f"?tasks={TASK}&hub=builtin&modules=mp_kvrh,mp_gvrh&added=mp_kvrh").plan()
    assert (few.before, few.after) == (("mp_gvrh",), ("mp_kvrh", "mp_gvrh"))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "Choose the modules"),
        (f"&added={','.join(FULL)}", "leave some"),
        ("&added=nobody", "nobody"),
        ("&added=mp_kvrh&kind=adapter", "mp_kvrh"),
    ],
)
def test_a_hub_that_does_not_grow_is_said(query, sentence):
    with pytest.raises(InputError, match=sentence):
        ContinualState(f"?tasks={TASK}&hub=builtin{query}").plan()


# -- learners ------------------------------------------------------------------------------------


def test_learners_that_can_be_compared_are_offered_the_instant_one_first():
    found, problems = usable_learners()
    assert next(iter(found)) == "instant"
    assert "finetune" in found
    assert "weights" not in found  # it has no test error
    assert problems == []


class NewOptions(Options):
    """Settings of a learner that somebody adds."""

    experts: int = 4
    gate: Literal["soft", "hard"] = "soft"
    frozen: bool | None = None


def test_a_new_learner_has_a_field_for_each_of_its_settings():
    learner = replace(instant, name="mixture", options=NewOptions)
    fields = {field.name: field for field in option_fields(learner)}
    assert list(fields) == ["experts", "gate", "frozen"]
    assert (fields["experts"].label, fields["experts"].default, fields["experts"].choices) == (
        "Experts",
        "4",
        (),
    )
    assert fields["gate"].choices == ("soft", "hard")
    assert fields["frozen"].choices == ("True", "False")
    assert read_options(learner, ["experts:2", "gate:hard", "frozen:True"]) == {
        "experts": 2,
        "gate": "hard",
        "frozen": True,
    }
    assert read_options(learner, []) == {}


@pytest.mark.parametrize("text", ["experts:many", "gate:half", "depth:3", "experts"])
def test_a_setting_that_cannot_be_is_said(text):
    with pytest.raises((InputError, UnknownNameError)):
        read_options(replace(instant, options=NewOptions), [text])


def test_fine_tuning_offers_recipes_and_epochs():
    fields = {field.name: field for field in option_fields(finetune)}
    assert "short-cpu" in fields["recipe"].choices
    assert fields["recipe"].default == "finetune"
    assert fields["epochs"].description


# -- lists ---------------------------------------------------------------------------------------


def test_all_methods_are_offered():
    assert list(method_offers().values()) == list(METHODS)
    assert "amc" not in method_offers(besides=["amc"]).values()


@pytest.mark.parametrize("n", [1, 4, 40, 400])
def test_modules_of_a_hub_of_any_size_are_offered_the_newest_first(tmp_path, n):
    for i in range(n):
        card = make_card(f"m{i:03}", created=f"2026-01-{1 + i % 28:02}T00:00:{i // 28:02}Z")
        (tmp_path / f"{card.name}.json").write_text(card.model_dump_json())
    offers = hub_offers(str(tmp_path), "full")
    dates = [label.rpartition(", ")[2] for label in offers.modules]
    assert sorted(offers.modules.values()) == [f"m{i:03}" for i in range(n)]
    assert dates == sorted(dates, reverse=True)
    assert offers.backbones == ["chgnet"]
    assert hub_offers(str(tmp_path), "adapter").modules == {}


def test_a_hub_of_two_backbones_names_both(tmp_path):
    hub = Hub(tmp_path)
    for name, backbone in (("a", "cgcnn"), ("b", "chgnet"), ("c", "chgnet")):
        hub.add(make_module(name, backbone=backbone))
    assert hub_offers(str(tmp_path), "full").backbones == ["chgnet", "cgcnn"]
    assert list(hub_offers(str(tmp_path), "full", "cgcnn").modules.values()) == ["a"]


@given(st.lists(st.text(min_size=1, max_size=60), max_size=30))
def test_a_field_names_few_and_counts_many(names):
    said = summary(names, "datasets")
    if len(names) > SHOWN:
        assert said.startswith(f"{len(names)} datasets: ")
    elif all(len(name) <= 40 for name in names):
        assert said == ", ".join(names)
    assert len(said) <= SHOWN * 42 + 40


def test_what_is_chosen_keeps_the_order_of_the_list_and_what_is_gone_stays_offered():
    picker = MultiPicker("Datasets", "datasets", ["gone"], {"A: first": "a", "B: second": "b"})
    choice = picker.__panel__()
    choice.value = ["b", "gone", "a"]
    assert picker.value == ["a", "b", "gone"]
    picker.offer({"B: second": "b"})
    assert picker.value == ["a", "b", "gone"]
    assert set(choice.values) == {"a", "b", "gone"}
    picker.value = []
    assert choice.value == []


# -- tables and figures --------------------------------------------------------------------------


def result(method: str, mae: float, split: int = 0, task: str = TASK, **cell) -> CellResult:
    metrics = {"test_mae": mae, "objective": mae**2, "composed_proxy_mae": mae}
    return CellResult(Cell(task, "instant", method, split, **cell), metrics, 1.0, f"run-{method}-{split}")


def ablation_rows(*results: CellResult, methods=("amc", "bare")):
    tasks = tuple(dict.fromkeys(r.cell.task for r in results))
    return Ablation(tasks=tasks, splits=(0, 1), methods=methods).table(results)


def test_an_ablation_s_table_has_differences_on_the_same_rows():
    rows = ablation_rows(
        result("amc", 1.0), result("amc", 2.0, 1), result("bare", 1.1), result("bare", 2.4, 1)
    )
    (line,) = ablation_results.lines_of(("amc", "bare"), rows)
    assert line["AMC: test MAE"] == "1.50 ± 0.71"
    assert line["Bare backbone"] == "+15.0 ± 7.1 %"  # of +10 % and +20 %, not of the means
    assert line["Lowest error"] == "AMC"
    assert line["Dataset"] == f"{TASK} [log10(GPa)]"
    assert set(line) == set(ablation_results.columns_of(("amc", "bare")))


def test_an_unfinished_ablation_says_what_it_knows():
    rows = ablation_rows(result("bare", 0.5), result("amc", 2.0, 1), result("bare", 2.2, 1))
    (line,) = ablation_results.lines_of(("amc", "bare", "random"), rows)
    assert line["Bare backbone"] == "+10.0 %"
    assert line["Random selection"] == "–"
    assert line["Lowest error"] == "Bare backbone"  # of those with most fits
    rows = ablation_rows(result("bare", 0.5))
    view = ablation_results.AblationResults.prepare(None, Ablation(tasks=(TASK,)), rows, ())
    assert not view.drawable


def test_several_datasets_have_a_line_for_all():
    rows = ablation_rows(
        *(result(m, e, task=t) for t, m, e in ((TASK, "amc", 1.0), (TASK, "bare", 1.2))),
        *(result(m, e, task=t) for t, m, e in (("mp_phonons", "amc", 1.0), ("mp_phonons", "bare", 0.9))),
    )
    *_, mean, worse = ablation_results.lines_of(("amc", "bare"), rows)
    assert mean["Dataset"] == "Mean of 2 datasets"
    assert mean["Lowest error"] == "AMC in 1 of 2"
    assert mean["Bare backbone"] == "+5.0 %"
    assert worse["Bare backbone"] == "1 of 2"


def test_the_radar_chart_gets_errors_and_differences():
    rows = ablation_rows(
        result("amc", 1.0), result("amc", 2.0, 1), result("bare", 1.1), result("bare", 2.4, 1)
    )
    errors = ablation_results.errors_of("bare", rows)
    assert errors.method == "Bare backbone"
    assert errors.errors == {TASK: pytest.approx(1.75)}
    assert errors.differences == {TASK: pytest.approx(15)}


def test_a_few_shot_table_compares_the_same_rows():
    results = [
        result("amc", 1.0, shots=10),
        result("amc", 5.0, 1, shots=10),
        result("bare", 1.25, shots=10),
    ]
    plan = FewShotState(f"?tasks={TASK}&splits=0,1&shots=10,20").plan()
    (line,) = few_shot_results.lines_of(plan.methods, plan.table(results), results)
    assert line[few_shot_results.AGAINST] == "−20.0 %"
    assert (line["N"], line["Fits"]) == ("10", "2")
    lines = few_shot_results.shot_errors(TASK, results)
    assert [(one.learner, one.shots, one.n_train) for one in lines] == [
        ("AMC", 10, 10),
        ("Bare backbone", 10, 10),
    ]
    assert lines[0].errors == {"split 0, seed 0": 1.0, "split 1, seed 0": 5.0}


def test_all_rows_stand_at_their_number():
    results = [result("amc", 1.0), result("amc", 1.2, 1)]
    (line,) = few_shot_results.shot_errors(TASK, results)
    assert (line.shots, line.n_train) == (None, 49)  # of 71 structures


def test_a_growing_hub_s_table_has_pairs_and_means():
    results = [result("amc", before, split, group="before") for split, before in enumerate((1.0, 2.0))] + [
        result("amc", after, split, group="after") for split, after in enumerate((0.5, 2.2))
    ]
    plan = ContinualState(f"?tasks={TASK}&splits=0,1&hub=builtin&added=mp_kvrh&proxy=mae").plan()
    rows = plan.table(results)
    means = task_means(rows)
    first, second, mean = continual_results.lines_of(rows, means)
    assert (first["Decrease in test MAE"], second["Decrease in test MAE"]) == ("+50.0 %", "−10.0 %")
    assert mean["Decrease in test MAE"] == "+20.0 ± 42.4 %"
    assert mean["Split, seed"] == "mean of 2"
    change = continual_results.change_of(means[0])
    assert (change.mae_decrease, change.n) == (pytest.approx(20), 2)


def test_a_file_has_all_digits():
    text = csv_of([result("amc", 1 / 3).row()]).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert float(row["mae"]) == 1 / 3
    assert (row["task"], row["method"], row["split"], row["run"]) == (TASK, "amc", "0", "run-amc-0")
    with pytest.raises(InputError, match="Nothing has finished"):
        csv_of([])
