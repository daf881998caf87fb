"""The map of modules × tasks: from whatever run has composed, with the hub and data as they are now."""

from __future__ import annotations

import time

import numpy as np
import pytest
from module_factory import make_module

from moma_app.errors import InputError
from moma_app.experiments import standing
from moma_app.experiments.compositions import KEPT, finished_compositions
from moma_app.experiments.insights import Insights
from moma_app.hub.card import Target
from moma_app.hub.hub import Hub
from moma_app.jobs import sqlite
from moma_app.tasks import get_task

WEIGHTS = {"mp_kvrh": 0.7, "mp_gvrh": 0.3, "mp_bandgap": 0.0, "castelli_eform": 0.0}
OTHERS = {"mp_kvrh": 0.5, "mp_gvrh": 0.0, "mp_bandgap": 0.5, "castelli_eform": 0.0}


def insights(*tasks, splits=(0, 1), **changes):
    return Insights.make(tasks=tasks, splits=splits, hub="builtin", **{"modules": sorted(WEIGHTS), **changes})


def test_means_ranks_and_stability(jobs, make_task, composed):
    task = get_task(make_task("alpha"))
    composed(task, 0, WEIGHTS)
    composed(task, 1, OTHERS)
    matrix = insights("alpha", splits=(0, 1, 2)).matrix(jobs)
    assert matrix.present == 2
    column = matrix.modules.index
    kvrh, gvrh, castelli = column("mp_kvrh"), column("mp_gvrh"), column("castelli_eform")
    (means,), (stds,), (selected,) = matrix.means(), matrix.stds(), matrix.selected()
    assert means[kvrh] == pytest.approx(0.6)
    assert stds[kvrh] == pytest.approx(np.std([0.7, 0.5], ddof=1))
    assert (selected[kvrh], selected[gvrh], selected[castelli]) == (1.0, 0.5, 0.0)
    (ranks,) = matrix.ranks()
    assert (ranks[kvrh], ranks[castelli]) == (1, 4)
    assert matrix.counts() == [[2, 2, 2, 2]]
    assert matrix.means("proxy_mae")[0][kvrh] == pytest.approx(1.5)
    row = next(row for row in matrix.rows() if row["module"] == "mp_kvrh")
    assert (row["module_family"], row["trained_on"], row["splits"]) == ("mechanical", "mp_kvrh", 2)
    assert {split: part.weight for split, part in matrix.part("alpha", "mp_kvrh").items()} == {0: 0.7, 1: 0.5}


def test_an_empty_map_is_a_map(jobs, make_task):
    matrix = insights(make_task("alpha")).matrix(jobs)
    assert matrix.rows() == []
    assert matrix.means() == [[None] * 4]
    assert matrix.ranks() == [[None] * 4]


@pytest.mark.parametrize(
    "changes", [{"k": 3}, {"temperature": 1.0}, {"shots": 10}, {"weighting": "random"}, {"kind": "adapter"}]
)
def test_compositions_of_another_kind_do_not_count(jobs, make_task, composed, changes):
    task = get_task(make_task("alpha"))
    composed(task, 0, WEIGHTS, **changes)
    assert insights("alpha").matrix(jobs).present == 0


def test_compositions_of_other_modules_or_data_do_not_count(jobs, make_task, composed):
    task = get_task(make_task("alpha"))
    composed(task, 0, {"mp_kvrh": 0.7, "mp_gvrh": 0.3})
    assert insights("alpha").matrix(jobs).present == 0
    assert insights("alpha", modules=["mp_kvrh", "mp_gvrh"]).matrix(jobs).present == 1
    make_task("alpha", rows=50)
    assert insights("alpha", modules=["mp_kvrh", "mp_gvrh"]).matrix(jobs).present == 0


def test_a_module_that_was_left_out_took_part(jobs, make_task, composed):
    task = get_task(make_task("alpha"))
    weights = {name: weight for name, weight in WEIGHTS.items() if name != "mp_bandgap"}
    composed(task, 0, weights, skipped={"mp_bandgap": "its embeddings are not finite"})
    matrix = insights("alpha").matrix(jobs)
    assert matrix.present == 1
    assert matrix.means()[0][matrix.modules.index("mp_bandgap")] is None


def test_what_other_runs_have_composed_needs_no_cell(jobs, make_task, composed):
    plan = insights(make_task("alpha"))
    run = composed(get_task("alpha"), 1, WEIGHTS)
    status = standing.progress(plan, jobs)
    assert [(each.cell.split, each.run) for each in status.of("done")] == [(1, run)]
    (missing,) = plan.missing(jobs)
    assert (missing.split, missing.spec.arguments["unit"], missing.spec.arguments["learner"]) == (
        0,
        "compose",
        "weights",
    )


def test_deleted_runs_are_forgotten(jobs, make_task, composed):
    plan = insights(make_task("alpha"))
    run = composed(get_task("alpha"), 0, WEIGHTS)
    assert plan.matrix(jobs).present == 1
    jobs.delete(run)
    assert plan.matrix(jobs).present == 0


def test_summaries_can_be_lost(jobs, make_task, composed, home):
    plan = insights(make_task("alpha"))
    composed(get_task("alpha"), 0, WEIGHTS)
    assert plan.matrix(jobs).present == 1
    (home / KEPT).unlink()
    assert plan.matrix(jobs).present == 1
    (home / KEPT).write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match="delete the file, it will be made anew"):
        plan.matrix(jobs)


def test_a_damaged_composition_is_passed_over(jobs, make_task, composed):
    plan = insights(make_task("alpha"))
    run = composed(get_task("alpha"), 0, WEIGHTS)
    path = sqlite.artefact_folder(jobs.settings.home / "runs.db", run) / "composition.json"
    path.write_text("{")
    assert plan.matrix(jobs).present == 0
    assert finished_compositions(jobs, ["alpha"]) == []


def test_a_large_map_comes_in_well_under_a_second(jobs, make_task, composed, tmp_path):
    """As many parts as 17 tasks, 5 splits and 28 modules have; docs/experiments.md has that map's time."""
    names = [f"module-{number}" for number in range(240)]
    hub = Hub(tmp_path / "hub")
    for name in names:
        hub.add(make_module(name, target=Target(task="mp_kvrh", property="p", unit="")))
    weights = dict.fromkeys(names, 1 / len(names))
    tasks = [make_task("alpha"), make_task("beta")]
    for task in tasks:
        for split in range(5):
            composed(get_task(task), split, weights, hub=str(tmp_path / "hub"))
    plan = Insights.make(tasks=tasks, hub=str(tmp_path / "hub"))
    assert plan.matrix(jobs).present == 10
    started = time.process_time()
    matrix = plan.matrix(jobs)
    assert time.process_time() - started < 1.0
    assert np.allclose(matrix.array(), 1 / len(names))
    assert matrix.ranks() == [[1] * len(names)] * 2
