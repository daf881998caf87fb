"""A plan is started, stopped, goes on, and never repeats a finished cell; a learner of another package does the work."""

from __future__ import annotations

import pytest

from moma_app.errors import IncompatibleError, UnknownNameError
from moma_app.experiments import standing
from moma_app.experiments.ablation import Ablation
from moma_app.experiments.estimate import estimate, in_words
from moma_app.experiments.few_shot import FewShot
from moma_app.experiments.registry import get_learner, learner_names
from moma_app.experiments.results import all_rows, to_dataframe
from moma_app.jobs.states import RESUMABLE


def ablation(*tasks, **changes):
    values = {"tasks": tasks, "splits": (0, 1), "learners": ("toy",), "hub": "builtin"}
    return Ablation.make(**{**values, **changes})


def test_a_plan_is_done_once(jobs, make_task):
    plan = ablation(make_task("alpha"), make_task("beta"), methods=["amc", "bare"])
    status = standing.progress(plan, jobs)
    assert (status.total, status.done, status.missing) == (8, 0, 8)
    begun = standing.start(plan, jobs)
    assert len(set(begun)) == 8
    status = standing.progress(plan, jobs)
    assert (status.done, status.running, status.missing, status.failed) == (8, 0, 0, 0)
    assert status.describe() == "8 of 8 cells done"
    assert standing.start(plan, jobs) == []
    assert len(jobs.store.runs()) == 8
    larger = ablation("alpha", "beta", methods=["amc", "bare", "random"])
    assert standing.progress(larger, jobs).missing == 4, "only the new method is missing"


def test_equal_cells_of_different_plans_are_one_piece_of_work(jobs, make_task):
    task = make_task("alpha")
    methods = ["amc", "random", "bare"]
    standing.run(ablation(task, splits=(0,), methods=methods), jobs)
    few = FewShot.make(tasks=[task], learners=["toy"], hub="builtin", shots=[None])
    assert standing.progress(few, jobs).done == 2, "amc and bare of the ablation"
    other_k = ablation(task, splits=(0,), methods=methods, k=3)
    status = standing.progress(other_k, jobs)
    assert {each.cell.method for each in status.of("done")} == {"bare"}, (
        "without a composition K does not count"
    )


def test_cells_wait_for_what_somebody_starts_by_hand(jobs, make_task):
    specs = [cell.spec for cell in ablation(make_task("alpha")).cells()]
    assert all(spec.priority < 0 and not spec.needs.quick and spec.publish == {} for spec in specs)
    assert len({spec.digest for spec in specs}) == len(specs)


def test_failed_cells_say_why_and_are_tried_again(jobs, make_task, tmp_path):
    mark = tmp_path / "lifted"
    plan = ablation(
        make_task("alpha"), methods=["amc", "bare"], options={"toy": {"fail_on": 1, "mark": str(mark)}}
    )
    status = standing.run(plan, jobs)
    assert (status.done, status.failed) == (2, 2)
    assert {each.message for each in status.of("failed")} == {"This split is cursed."}
    assert [row["method"] for row in standing.table(plan, jobs)] == ["amc", "bare"], "what there is so far"
    mark.touch()
    before = len(jobs.store.runs())
    assert standing.run(plan, jobs).done == 4
    assert len(jobs.store.runs()) == before, "failed runs are resumed, not recorded anew"


def test_stopped_cells_are_missing_and_go_on(jobs, make_task):
    plan = ablation(make_task("alpha"), methods=["amc"])
    for cell in plan.cells():
        jobs.store.create(cell.spec)  # as another process does that is about to hand them over
    status = standing.progress(plan, jobs)
    assert (status.running, status.missing) == (2, 0)
    assert standing.start(plan, jobs) == []
    assert len(standing.stop(plan, jobs)) == 2
    assert standing.progress(plan, jobs).missing == 2
    assert {record.state for record in jobs.store.runs()} <= RESUMABLE
    assert standing.run(plan, jobs).done == 2
    assert len(jobs.store.runs()) == 2


def test_a_finished_cell_stays_done_when_a_repetition_was_stopped(jobs, make_task):
    plan = ablation(make_task("alpha"), splits=(0,), methods=["amc"])
    (run,) = standing.start(plan, jobs)
    again = jobs.store.create(jobs.rerun(run))
    jobs.cancel(again)
    (cell,) = standing.progress(plan, jobs).of("done")
    assert cell.run == run


def test_a_changed_task_is_other_work(jobs, make_task):
    task = make_task("alpha")
    plan = ablation(task, splits=(0,), methods=["amc"])
    standing.run(plan, jobs)
    make_task("alpha", rows=41)
    assert standing.progress(plan, jobs).done == 0


def test_a_cell_keeps_its_numbers_and_leaves_out_what_is_large(jobs, make_task):
    plan = ablation(make_task("alpha"), splits=(0,), methods=["amc"])
    (run,) = standing.start(plan, jobs)
    record = jobs.record(run)
    assert {"test_mae", "objective", "composed_proxy_mae", "modules_selected"} <= record.metrics.keys()
    assert record.facts["method"] == "amc"
    kept = jobs.store.artefacts(run)
    assert "report.html" in kept
    assert not [name for name in kept if "large" in name]
    (result,) = standing.results(plan, jobs)
    assert result.row()["mae"] == record.metrics["test_mae"]
    (row,) = all_rows(jobs, tasks=["alpha"])
    assert (row["learner"], row["method"], row["split"], row["shots"]) == ("toy", "amc", 0, None)
    assert all_rows(jobs, tasks=["beta"]) == []
    assert to_dataframe([row])["mae"].tolist() == [result.mae]


def test_estimates_are_guesses_until_something_is_measured(jobs, make_task):
    plan = ablation(make_task("alpha"), methods=["amc", "bare"])
    first = estimate(standing.progress(plan, jobs), jobs)
    assert (first.cells, first.measured) == (4, 0)
    modules = len(plan.composition().modules)
    assert first.seconds == pytest.approx(2 * 60 * (1 + modules) + 2 * 60)
    standing.run(ablation("alpha", methods=["amc", "bare"], splits=(0,)), jobs)
    later = estimate(standing.progress(plan, jobs), jobs)
    assert (later.cells, later.measured) == (2, 2)
    assert later.seconds < first.seconds
    assert [in_words(seconds) for seconds in (40, 720, 12_600)] == ["40 s", "12 min", "3.5 h"]


def test_learners_come_from_installed_packages(toy):
    assert {"instant", "finetune", "toy"} <= set(learner_names())
    assert get_learner("toy").label == "Toy"
    with pytest.raises(UnknownNameError, match="did you mean instant"):
        get_learner("instamt")
    with pytest.raises(IncompatibleError, match="no moma_app Learner"):
        get_learner("wrong")
