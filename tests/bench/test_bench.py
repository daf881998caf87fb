"""Benchmarks at sizes of a few seconds: what they report, and how they fail. Times are not tested."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from moma_app.bench.cases import CASES, Case, choose
from moma_app.bench.growth import atoms_point, exponents, knn_point, measure_growth, usual_plan
from moma_app.bench.inputs import choose_structures, write_inputs
from moma_app.bench.job import Job
from moma_app.bench.result import Agreement, CaseResult, GrowthPoint, Machine, Report, Side
from moma_app.bench.run import Conduct, run_case
from moma_app.bench.sizes import Sizes
from moma_app.bench.table import comparison, duration, growth_laws, markdown
from moma_app.cli import main
from moma_app.errors import MomaError
from moma_app.plots.growth import growth_svg

TASK = "elemental_bulk_modulus"


@pytest.fixture
def bench(capsys):
    """Run ``moma bench``; return exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["bench", *(str(argument) for argument in arguments)])
        printed = capsys.readouterr()
        return stop.value.code, printed.out, printed.err

    return run


def test_every_bar_is_listed(bench):
    code, out, _ = bench("--list")
    assert code == 0
    listed = {line.split()[0]: line for line in out.splitlines() if line}
    for name, bar in (
        ("training-step", "≥ 2.5 ×"),
        ("encode", "≥ 3 ×"),
        ("encode-all", "≥ 4 ×"),
        ("graphs", "≥ 3 ×"),
        ("cache", "≥ 50 ×"),
        ("knn-weights", "≥ 10 ×"),
        ("training-step-gpu", "≥ 10 ×"),
        ("encode-gpu", "≥ 10 ×"),
        ("weights-1000", "≤ 5 s"),
        ("reweigh", "≤ 0.2 s"),
        ("knn-large", "≤ 8 GiB"),
        ("merge", "≤ 4 GiB"),
    ):
        assert bar in listed[name]
    assert {"growth:", "scaling:", "scheduler:"} <= listed.keys()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["encod"], "did you mean encode"),
        (["encode"], "moma tasks fetch mp_bandgap"),
        (["encode", "--task", "mp_phonon"], "did you mean mp_phonons"),
        (["merge", "--parameters", "1e15"], "of temporary disk, but"),
        (["knn-weights", "--figure", "growth.svg"], "add 'growth'"),
        (["scaling"], "moma tasks fetch mp_bandgap"),
        (["scheduler", "--modules", "100001"], "fewer --modules or --rows"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(bench, arguments, sentence):
    code, out, err = bench(*arguments)
    assert code == 1
    assert out == ""
    assert err.startswith("Error: ")
    assert sentence in err


def test_both_sides_are_measured_and_agree(bench):
    """A case without structures, whose sides start soon; one for a GPU, which may be left out."""
    code, out, err = bench(
        *("knn-weights", "encode-gpu", "--task", TASK, "--json", "-", "--quiet", "--flush-reference"),
        *("--rows", 80, "--modules", 3, "--structures", 4, "--repeats", 2, "--threads", 1),
    )
    assert code == 0, err
    report = json.loads(out)
    machine = report["machine"]
    assert machine["threads"] == 1
    assert machine["peak_gflops"]["cpu"] > 0
    assert {"torch", "chgnet", "blas", "python"} <= machine["versions"].keys()
    assert report["flush_reference"] is True
    if machine["cuda"] is None:
        (sentence,) = report["left_out"]
        assert sentence == "Left out, because no CUDA GPU is visible to PyTorch: encode-gpu."
    result = report["cases"][0]
    assert result["sizes"] == {"rows": 80, "width": 64, "modules": 3}
    assert result["agreement"]["agree"]
    assert result["ratio"] == pytest.approx(result["theirs"]["median"] / result["ours"]["median"])
    assert result["reached"] == (result["ratio"] >= result["bar"])
    assert bool(result["profile"]) == (not result["reached"])
    for side in (result["ours"], result["theirs"]):
        assert len(side["repeats"]) == 2
        assert side["minimum"] <= side["median"] <= side["maximum"]
        assert side["warm_up"] > 0
        if sys.platform == "linux":
            assert side["peak_mb"] > side["work_mb"] >= 0


@pytest.mark.parametrize("name", [case.name for case in CASES if case.device == "cpu"])
def test_each_kind_of_work_runs_and_agrees(name, tmp_path):
    """Without processes of their own, which take seconds to start."""
    (case,) = choose([name])
    wishes = Sizes(structures=4, batch_size=2, rows=50, modules=3, parameters=4000)
    case = replace(case, sizes=case.sizes.overridden(wishes), task=case.task and TASK)
    inputs = None
    if case.task:
        inputs = str(tmp_path / "inputs.safetensors")
        write_inputs(Path(inputs), *choose_structures(case))
    answers = []
    for side in case.sides:
        job = Job(case.builder, side, case.sizes, 1, "cpu", inputs, str(tmp_path))
        work = getattr(import_module(f"moma_app.bench.work.{case.builder}"), side)(
            Job.from_json(job.to_json())
        )
        work.warm_up()
        work.run()
        assert work.units >= 1
        answers.append(np.asarray(work.answer()))
        for fact, value in work.facts.items():
            assert not fact.startswith("difference") or value < 1e-5
    if len(answers) == 2:
        close = case.tolerance * np.abs(answers[1]).max(initial=0)
        np.testing.assert_allclose(answers[0], answers[1], rtol=0, atol=close)


def test_a_worker_that_refuses_or_dies_is_told_of_in_one_sentence(tmp_path):
    with pytest.raises(MomaError, match=r"^K = 5 neighbours need at least 6"):
        measure_growth([knn_point(4)], Conduct(repeats=1))
    broken = Case("x", "", None, "", Sizes(), builder="no_such_work")
    with pytest.raises(MomaError, match="ended with exit code 1: ModuleNotFoundError"):
        run_case(broken, Conduct(repeats=1))


def test_growth_is_measured():
    plan = [atoms_point(TASK, "encode", "encoding", atoms=1, cells=3)]
    (point,) = measure_growth(plan, Conduct(repeats=1, threads=1, peak_gflops={"cpu": 1e3}))
    assert (point.axis, point.size, point.per) == ("atoms per cell", 1, "structure")
    assert point.seconds > 0
    assert 0 < point.peak_share < 1
    axes = {(point.axis, point.size) for point in usual_plan()}
    assert {("rows", 10_000), ("modules", 16), ("atoms per cell", 100), ("atoms per cell", 5)} <= axes


@pytest.fixture
def curves() -> list[GrowthPoint]:
    return [
        GrowthPoint("rows", "kNN estimate", 10, 0.5, "all", None, None),
        GrowthPoint("rows", "kNN estimate", 100, 50.0, "all", 200.0, None),
        GrowthPoint("atoms per cell", "training step", 5, 0.01, "structure", None, 0.1),
    ]


def test_growth_is_drawn_the_same_each_time_and_its_law_is_told(curves):
    picture = growth_svg(curves)
    assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert picture == growth_svg(curves)
    assert exponents(curves) == [("rows", "kNN estimate", pytest.approx(2))]
    assert growth_laws(curves) == ["kNN estimate: time grows as rows to the power 2.00."]


def test_a_result_is_a_row_of_a_table():
    def side(seconds: float) -> Side:
        return Side(seconds, seconds, seconds, (seconds,) * 3, 1, 1, 300.0, 100.0, None, 0.123)

    (case,) = (case for case in CASES if case.name == "encode")
    result = CaseResult(case, side(0.0123), side(0.03), Agreement(1e-3, 1e-4))
    assert result.reached is False
    text = markdown(comparison([result]))
    heading, line, row = text.splitlines()
    assert heading.count("|") == line.count("|") == row.count("|")
    for part in ("12.3 ms/structure", "30.0 ms/structure", "2.4 ×", "≥ 3 ×", "no", "12.3 %", "too large"):
        assert part in row
    machine = Machine("a processor", 2, 2, None, None, {"cpu": 100.0}, {})
    assert (
        json.loads(json.dumps(Report(machine, repeats=3, flush_reference=False, cases=(result,)).to_dict()))[
            "cases"
        ][0]["bar"]
        == 3
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.2e-7, "0.420 µs"), (9.996e-4, "1.00 ms"), (0.41, "410 ms"), (12.94, "12.9 s"), (7200, "120.0 min")],
)
def test_durations_have_three_digits(seconds, text):
    assert duration(seconds) == text


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system does not list child processes")
def test_interrupting_ends_the_workers():
    command = [sys.executable, "-m", "moma_app", "bench", "weights-1000", "--modules", "4000", "--quiet"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (workers := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "Stopped; the workers have ended.\n"
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_profile_names_operations_and_their_shares():
    import torch

    from moma_app.bench.profile import profile

    rows = profile(lambda: torch.rand(50, 50) @ torch.rand(50, 50), "cpu")
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert "aten::mm" in [row["operation"] for row in rows]


def test_arithmetic_is_counted_as_torch_counts_it(monkeypatch):
    """The engine may save some of it, by multiplying matrices together beforehand."""
    monkeypatch.setenv("MOMA_KERNEL", "torch")
    import torch
    from ase.build import bulk
    from torch.utils.flop_counter import FlopCounterMode

    from moma_app.backbones.registry import get_backbone
    from moma_app.bench.flops import counts_of, forward_flop

    backbone = get_backbone("chgnet")
    graphs = backbone.graphs([bulk("NaCl", "rocksalt", a=5.6), bulk("Cu", "fcc", a=3.6)])
    network = backbone.pretrained()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(graphs.batch([0, 1]))
    assert counter.get_total_flops() == pytest.approx(forward_flop(counts_of(graphs)), rel=0.1)
