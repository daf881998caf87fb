"""The model of large hubs: its laws, its units, and how its coefficients come out of measurements."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from moma_app.bench import coefficients
from moma_app.bench.cases import Case
from moma_app.bench.coefficients import Samples, line, measure_coefficients, structure_cases
from moma_app.bench.job import Job
from moma_app.bench.result import Side, Submission
from moma_app.bench.run import Conduct
from moma_app.bench.scaling import (
    USUAL,
    WITH_ENCODING,
    Coefficients,
    Plan,
    Source,
    answer,
    crossover_rows,
    evaluate,
    knn_seconds,
    plans_for,
    remedies,
)
from moma_app.bench.scaling_table import TERMS, amount, span, stages
from moma_app.bench.scaling_table import coefficients as coefficient_table
from moma_app.bench.sizes import Sizes
from moma_app.bench.work import tracking

KNOWN = Coefficients(
    graph_seconds=5e-4,
    graph_bytes=1e5,
    encode_seconds=8e-3,
    encode_group_seconds=7e-3,
    embedding_bytes=1024,
    knn_pair_seconds=2e-9,
    knn_row_bytes=1e4,
    gram_seconds=1e-11,
    solve_seconds=3e-10,
    weights_bytes=24,
    merge_seconds=3e-10,
    module_bytes=1.6e6,
    task_seconds=5e-4,
    task_bytes=5e3,
    run_seconds=0.3,
    worker_bytes=4e8,
)
PARALLEL = ("graphs", "encoding", "neighbours")
SERIAL = ("scheduler", "weights", "merging", "tracking", "storage")

sizes = st.integers(1, 2000)
plans = st.builds(
    Plan,
    modules=sizes,
    rows=st.integers(1, 3_000_000),
    workers=st.integers(1, 200),
    speed_up=st.floats(1, 200),
    group=st.integers(1, 32),
    bundle=st.integers(1, 20),
    resident=st.booleans(),
    price=st.floats(0.01, 10),
)


def seconds(plan: Plan, known: Coefficients = KNOWN) -> dict[str, float]:
    return {stage.name: stage.seconds for stage in evaluate(known, plan).stages}


@given(plans, st.data())
def test_more_work_never_takes_less_and_more_workers_never_more(plan, data):
    name = data.draw(st.sampled_from(["modules", "rows"]))
    larger = replace(plan, **{name: getattr(plan, name) + data.draw(st.integers(1, 5000))})
    before, after = seconds(plan), seconds(larger)
    assert all(after[stage] >= before[stage] * (1 - 1e-12) for stage in before)
    name = data.draw(st.sampled_from(["workers", "speed_up", "cores", "bandwidth"]))
    faster = replace(plan, **{name: getattr(plan, name) * data.draw(st.integers(2, 9))})
    assert evaluate(KNOWN, faster).seconds <= evaluate(KNOWN, plan).seconds * (1 + 1e-12)


@given(st.integers(1, 8), st.integers(1, 50))
def test_twice_the_workers_halve_parallel_stages_and_leave_serial_ones(workers, times):
    rows = 2 * workers * times * 10_000
    plan = Plan(modules=2 * workers * times, rows=rows, workers=workers, bandwidth=1e15)
    once, twice = seconds(plan), seconds(replace(plan, workers=2 * workers))
    for stage in PARALLEL:
        assert twice[stage] == pytest.approx(once[stage] / 2)
    for stage in SERIAL:
        assert twice[stage] == once[stage]


def test_without_units_for_all_more_workers_do_not_help():
    plan = Plan(modules=3, rows=10_000, workers=3)
    assert seconds(plan) == seconds(replace(plan, workers=1000))


@given(plans, st.floats(0.01, 100))
def test_units_of_time_and_of_bytes_may_be_chosen_freely(plan, k):
    """Every term has the dimension it should have: a term with a wrong one would not scale so."""
    timed = replace(
        KNOWN,
        **{f.name: k * getattr(KNOWN, f.name) for f in fields(KNOWN) if f.name.endswith("_seconds")},
    )
    before = evaluate(KNOWN, plan)
    after = evaluate(timed, replace(plan, bandwidth=plan.bandwidth / k))
    assert after.seconds == pytest.approx(k * before.seconds)
    assert (after.memory, after.stored) == (before.memory, before.stored)
    sized = replace(
        KNOWN, **{f.name: k * getattr(KNOWN, f.name) for f in fields(KNOWN) if f.name.endswith("_bytes")}
    )
    sized = replace(sized, merge_seconds=sized.merge_seconds / k)
    after = evaluate(sized, replace(plan, bandwidth=plan.bandwidth * k))
    assert after.seconds == pytest.approx(before.seconds)
    assert after.memory == pytest.approx(k * before.memory)
    assert after.stored == pytest.approx(k * before.stored)


@given(plans)
def test_the_whole_is_the_sum_of_what_does_not_run_beside_encoding(plan):
    outcome = evaluate(KNOWN, plan)
    beside = [stage.seconds for stage in outcome.stages if stage.name in WITH_ENCODING]
    others = [stage.seconds for stage in outcome.stages if stage.name not in WITH_ENCODING]
    assert outcome.seconds == pytest.approx(sum(others) + max(beside))
    assert outcome.cost == pytest.approx(outcome.seconds / 3600 * plan.workers * plan.price)


def test_the_large_plan_by_hand():
    """1,000 modules, 10⁶ rows, 64 workers: 100 chunks, 100,000 futures, 1,563 rounds of 80 s."""
    *_, plan = USUAL
    assert (plan.chunks, plan.futures) == (100, 101_001)
    outcome = evaluate(KNOWN, plan)
    found = {stage.name: stage for stage in outcome.stages}
    assert found["graphs"].seconds == pytest.approx(100)  # of writing; building takes 5 s
    assert found["encoding"].seconds == pytest.approx(1563 * 80)
    assert found["encoding"].stored == 1024e9
    assert found["scheduler"].seconds == pytest.approx(50.5005)
    assert found["neighbours"].seconds == pytest.approx(16 * 2e-9 * 1e12)
    assert found["weights"].seconds == pytest.approx(10 + 0.3)
    assert found["weights"].memory == 24e9
    moved = 1000 * 1e11 + 1.6e6 * 1e5 + 2 * 1.024e12
    assert found["storage"].moved == pytest.approx(moved)
    assert outcome.fed == pytest.approx(80 / 5e-4)
    assert outcome.bottleneck == "encoding"


def test_a_fast_gpu_moves_the_bottleneck_from_encoding_to_storage_and_remedies_move_it_on():
    *_, plan = USUAL
    assert evaluate(KNOWN, replace(plan, speed_up=1000)).bottleneck == "storage"
    found = remedies(KNOWN, replace(plan, speed_up=1000))
    times = [remedy.seconds for remedy in found]
    assert times == sorted(times, reverse=True)
    assert found[0].outcomes[0].plan.group == 1
    assert [outcome.plan.modules for outcome in found[-1].outcomes] == [1000, 100]
    assert found[-1].outcomes[0].plan.chunks >= plan.workers  # the sample is cut for all of them


@given(st.integers(1, 100_000_000))
def test_neighbours_and_encoding_cross_where_it_is_said(rows):
    assume(abs(rows - crossover_rows(KNOWN)) > 1)
    assert (knn_seconds(KNOWN, rows) > rows * KNOWN.encode_seconds) == (rows > crossover_rows(KNOWN))


def test_a_wish_makes_one_plan_with_the_others_from_the_largest():
    assert [plan.speed_up for plan in plans_for(factors=(30,))] == [1, 1, 1, 30]
    cpu, gpu = plans_for(rows=50, price=2.0, factors=(7,))
    assert (cpu.modules, cpu.rows, cpu.workers, cpu.price) == (1000, 50, 64, 2.0)
    assert gpu == replace(cpu, speed_up=7)
    assert {plan.bandwidth for plan in plans_for(bandwidth=5e9)} == {5e9}


@given(
    *(2 * [st.tuples(st.floats(1, 10), st.floats(11, 100))]),
)
def test_a_law_is_never_negative_and_meets_the_larger_point(xs, ys):
    start, slope = line(xs, ys)
    assert start >= 0
    assert slope >= 0
    assert start + slope * xs[1] == pytest.approx(ys[1])
    assert line((1, 2), (5, 3)) == (3, 0)


def side(median: float, work_mb: float = 0.0) -> Side:
    facts = {"kB a structure": 80.0}
    return Side(median, median, median, (median,), 1, 0, 300.0, work_mb, None, None, facts)


def told(case: Case, _: Conduct) -> Side:
    """Answer as a machine would whose times follow the model's laws."""
    sizes = case.sizes
    n, m = sizes.modules or 1, sizes.rows or 0
    return {
        "graphs": side(KNOWN.graph_seconds),
        "encode": side(KNOWN.encode_seconds),
        "encode_all": side(KNOWN.encode_group_seconds * n),
        "knn": side(knn_seconds(KNOWN, m), 5 + m * KNOWN.knn_row_bytes / 2**20),
        "weights": side(KNOWN.gram_seconds * m * n**2 + KNOWN.solve_seconds * n**3, 16 * m * n / 2**20),
        "merge": side(KNOWN.merge_seconds * n * (sizes.parameters or 0) * 4),
        "tracking": side(KNOWN.run_seconds),
    }[case.builder]


def test_coefficients_are_what_was_put_into_the_measurements(monkeypatch):
    def simulated(_, ways):
        assert ways == ("map_",)
        return [Submission("", 40, 50, 1.0, 0.1, 0.1, 0.025, 200.0, 0.25, None, None)]

    monkeypatch.setattr(coefficients, "simulate", simulated)
    found, sources = measure_coefficients(Conduct(), run=told)
    for name in (
        "graph_seconds",
        "encode_group_seconds",
        "knn_pair_seconds",
        "knn_row_bytes",
        "solve_seconds",
    ):
        assert getattr(found, name) == pytest.approx(getattr(KNOWN, name), rel=1e-6), name
    assert found.gram_seconds == pytest.approx(KNOWN.gram_seconds)
    assert found.merge_seconds == pytest.approx(KNOWN.merge_seconds)
    assert found.weights_bytes == pytest.approx(24)
    assert found.graph_bytes == 80_000
    assert found.task_seconds == pytest.approx(5e-4)
    assert found.task_bytes == pytest.approx(0.25 * 2**20 / 50)
    assert 5e5 < found.module_bytes < 1e6  # half precision
    assert sources.keys() == TERMS.keys() == {field.name for field in fields(Coefficients)}


def test_runs_are_recorded_in_sqlite(tmp_path, monkeypatch):
    """The work whose time is the tracking store's coefficient leaves whole runs behind."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setattr(tracking, "RUNS", 2)
    monkeypatch.setattr(tracking, "METRICS", 3)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    work = tracking.ours(Job("tracking", "ours", Sizes(), 1, "cpu", None, str(tmp_path)))
    work.run()
    assert work.units == 2
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'tracking.db'}")
    runs = client.search_runs([client.get_experiment_by_name("bench").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert len(client.get_metric_history(runs[0].info.run_id, "error")) == 3
    assert work.answer() == []
    assert work.facts["ms a run in one batch"] > 0


def test_graphs_and_both_encodings_are_measured_on_the_same_structures():
    cases = structure_cases("mp_phonons", Samples(structures=7)).values()
    assert {(case.task, case.rows, case.sizes.structures) for case in cases} == {("mp_phonons", "random", 7)}
    assert all(case.sides == ("ours",) for case in cases)


def test_results_are_tables_and_json():
    scaling = answer(KNOWN, {name: Source("made up", 1.5) for name in TERMS}, plans_for(price=1.0))
    table = coefficient_table(scaling)
    assert len(table.rows) == len(fields(Coefficients))
    assert ["g", "graph building, one core", "500 µs a structure", "1.50", "made up"] in table.rows
    outcome = scaling.outcomes[-1]
    shown = stages(outcome)
    assert "assumed 100 × this CPU, not measured" in shown.title
    assert all(len(row) == len(shown.columns) for row in shown.rows)
    text = json.loads(json.dumps(scaling.to_dict()))
    assert text["outcomes"][-1]["seconds"] == outcome.seconds
    assert text["coefficients"]["graph_seconds"] == KNOWN.graph_seconds
    assert math.isclose(
        sum(stage["counted"] for stage in text["outcomes"][0]["stages"]), text["outcomes"][0]["seconds"]
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (12.9, "12.9 s"), (5400, "90 min"), (36_000, "10 h"), (864_000, "10 days")],
)
def test_long_times_have_units_that_fit(value, text):
    assert span(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "–"), (1024, "1.02 kB"), (999_900, "1 MB"), (1.024e12, "1.02 TB")]
)
def test_amounts_have_three_digits(value, text):
    assert amount(value) == text


def test_the_futures_of_the_plan_are_those_of_the_simulation():
    from moma_app.bench.simulation import USUAL as FUTURES

    *_, plan = USUAL
    assert Sizes(modules=plan.modules, rows=plan.rows, workers=2) == FUTURES
