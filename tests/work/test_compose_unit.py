"""What a composition keeps besides its result: neighbours to weigh anew with, and where the errors are."""

from __future__ import annotations

import dataclasses

import pytest

from moma_app.amc.result import AMCResult
from moma_app.amc.reweigh import reweigh
from moma_app.amc.stored import StoredNeighbours
from moma_app.jobs.jobs import Jobs
from moma_app.plots.analysis_values import ErrorAnalysis
from moma_app.tasks import get_task
from moma_app.training.outcome import FitReport
from moma_app.work import compose as unit
from moma_app.work.compose import compose_spec
from moma_app.work.composing import AMC, NEIGHBOURS

MODULES = ["mp_kvrh", "mp_gvrh", "castelli_eform"]


@pytest.fixture
def jobs():
    with Jobs(engine="inline") as jobs:
        yield jobs


def composed(jobs: Jobs, **how):
    amc = AMC("builtin", how.pop("modules", MODULES), **how)
    return jobs.run(compose_spec(get_task("elemental_bulk_modulus"), amc=amc, device="cpu"))


def untimed(result: AMCResult) -> AMCResult:
    return dataclasses.replace(result, modules=[dataclasses.replace(s, seconds=0) for s in result.modules])


def test_weights_change_from_what_was_kept(jobs, tmp_path):
    first = composed(jobs)
    result = AMCResult.from_dict(first.result["composition"])
    stored = StoredNeighbours.load(jobs.store.fetch(first.run_id, NEIGHBOURS, tmp_path))
    whole = composed(jobs, k=8, temperature=0.5)
    again = reweigh(stored, result, k=8, temperature=0.5)
    assert untimed(again) == untimed(AMCResult.from_dict(whole.result["composition"]))
    fewer = AMCResult.from_dict(composed(jobs, modules=MODULES[:2]).result["composition"])
    again = reweigh(stored, result, modules=MODULES[:2])
    assert again.weights == pytest.approx(fewer.weights, abs=1e-5)


def test_where_the_errors_are_is_told_with_the_fit(jobs, tmp_path):
    task = get_task("elemental_bulk_modulus")
    outcome = jobs.run(compose_spec(task, instant=True, bare=True, device="cpu"))
    fit = FitReport.from_dict(outcome.result["fit"])
    analysis = ErrorAnalysis.from_dict(outcome.result["analysis"])
    assert [row.id for row in analysis.rows] == fit.ids
    mae = sum(abs(row.error) for row in analysis.rows) / len(analysis.rows)
    assert mae == pytest.approx(fit.metrics["mae"])
    report = jobs.store.fetch(outcome.run_id, "report.html", tmp_path).read_text()
    assert "Largest errors" in report
    assert composed(jobs, modules=["mp_kvrh"]).result["analysis"] is None


def test_only_a_small_composition_is_quick(monkeypatch):
    task = get_task("elemental_bulk_modulus")
    assert compose_spec(task, amc=AMC("builtin")).needs.quick
    monkeypatch.setattr(unit, "QUICK", -1)
    assert not compose_spec(task, amc=AMC("builtin")).needs.quick
