"""Who starts the processes of a fit, which one this is, and what is refused before anything hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from moma_app.errors import InputError, UnknownNameError
from moma_app.progress import Note
from moma_app.training import parallel as module
from moma_app.training import processes
from moma_app.training.finetune import finetune
from moma_app.training.fit_module import Sum, share_of
from moma_app.training.parallel import (
    Layout,
    Parallel,
    launched_processes,
    layout,
    only_first,
    process_rank,
)
from moma_app.training.supervised import train_on_task

CPU, GPU = torch.device("cpu"), torch.device("cuda")
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2",
    "RANK": "3", "LOCAL_RANK": "1", "GROUP_RANK": "1",
}  # fmt: skip
SLURM = {
    "SLURM_NTASKS": "6", "SLURM_NNODES": "3", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NODEID": "2",
    "SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "fit",
}  # fmt: skip
OWN = {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No launcher, no earlier fit, no GPU, no interactive session."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_", "GROUP_", "MASTER_")) or name in {*TORCHRUN, *OWN}:
            monkeypatch.delenv(name)
    monkeypatch.setattr(module, "_begun", [])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.delattr(sys, "ps1", raising=False)


@pytest.fixture
def environment(monkeypatch):
    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("variables", "launched", "rank", "expected"),
    [
        ({}, 1, 0, Layout()),
        (TORCHRUN, 4, 3, Layout(2, 2, module.PARTLY_UNUSED, "torchrun", 1)),
        ({**TORCHRUN, **SLURM}, 4, 3, Layout(2, 2, module.PARTLY_UNUSED, "torchrun", 1)),
        ({**TORCHRUN, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "GROUP_WORLD_SIZE": "1", "RANK": "0"}, 1, 0,
         Layout(launcher="torchrun")),
        (SLURM, 6, 5, Layout(2, 3, module.PARTLY_UNUSED, "Slurm", 1)),
        ({**SLURM, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, 1, 0, Layout()),
        ({**SLURM, "SLURM_JOB_NAME": "bash"}, 1, 0, Layout()),
        ({**SLURM, "SLURM_JOB_NAME": "interactive"}, 1, 0, Layout()),
        ({**SLURM, "SLURM_JOB_NAME": "bash", **OWN}, 1, 1, Layout()),
        ({**OWN, "NODE_RANK": "3"}, 1, 7, Layout()),
    ],
)  # fmt: skip
def test_launched_processes_are_found(environment, variables, launched, rank, expected):
    environment(variables)
    assert launched_processes() == launched
    assert process_rank() == rank
    assert layout(None, CPU) == expected
    # Lightning sees the same launchers, but for jobs of a single task.
    assert TorchElasticEnvironment.detect() == ("TORCHELASTIC_RUN_ID" in variables)
    if "TORCHELASTIC_RUN_ID" not in variables and variables.get("SLURM_NTASKS") != "1":
        assert SLURMEnvironment.detect() == (launched > 1)


def test_only_the_first_process_tells(environment):
    heard = []
    only_first(heard.append)(Note(message="first"))
    environment(OWN)
    only_first(heard.append)(Note(message="second"))
    assert [event.message for event in heard] == ["first"]


@pytest.mark.parametrize(
    ("variables", "asked", "said"),
    [
        (TORCHRUN, Parallel(devices=4), "torchrun has started 2 processes per node, but 4 devices"),
        (TORCHRUN, Parallel(devices=1), "torchrun has started 2 processes per node, but 1 device "),
        (TORCHRUN, Parallel(nodes=3), "on 2 nodes, but 3 nodes were asked for.*--nodes"),
        ({**TORCHRUN, "WORLD_SIZE": "3"}, None, "3 processes on 2 nodes"),
        (SLURM, Parallel(devices=3), "Slurm has started 2 processes per node, but 3 devices"),
        ({}, Parallel(devices=2, nodes=2), "torchrun or srun"),
    ],
)
def test_a_mismatch_with_the_launcher_is_one_sentence(environment, variables, asked, said):
    environment(variables)
    with pytest.raises(InputError, match=said) as caught:
        layout(asked, CPU)
    assert "\n" not in str(caught.value)


def test_a_mismatch_shows_before_any_work(environment):
    environment(TORCHRUN)
    asked = {"parallel": Parallel(devices=4), "device": "cpu"}
    with pytest.raises(InputError, match="torchrun has started 2"):
        finetune(None, None, None, checkpoints=None, **asked)
    with pytest.raises(InputError, match="torchrun has started 2"):
        train_on_task(None, None, None, None, recipe=None, folder=None, **asked)


def test_what_a_launcher_started_may_be_asked_for_too(environment):
    environment(TORCHRUN)
    chosen = layout(Parallel(devices=2, nodes=2, strategy="ddp"), CPU)
    assert (chosen.processes, chosen.strategy) == (4, "ddp")


def test_gpus_are_all_used_unless_something_else_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert layout(None, GPU).processes == 3
    assert layout(Parallel(devices=2), GPU).processes == 2
    assert layout(None, torch.device("cuda:1")).processes == 1
    with pytest.raises(InputError, match="cuda:1 is one GPU"):
        layout(Parallel(devices=2), torch.device("cuda:1"))
    with pytest.raises(InputError, match="4 processes per node need as many GPUs, and this one sees 3"):
        layout(Parallel(devices=4), GPU)
    with pytest.raises(InputError, match="mps runs in one process"):
        layout(Parallel(devices=2), torch.device("mps"))


def test_an_interactive_session_uses_one_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(sys, "ps1", "In [1]: ", raising=False)
    assert layout(None, GPU).processes == 1
    with pytest.raises(InputError, match="interactive session"):
        layout(Parallel(devices=2), GPU)


def test_a_second_fit_runs_alone_unless_more_processes_are_asked_for(environment, monkeypatch):
    environment({**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0"})
    module.begin(layout(None, CPU))
    assert layout(None, CPU).processes == 1
    assert "runs in one process" in layout(None, CPU).note
    assert layout(Parallel(devices=1), CPU) == Layout()
    with pytest.raises(InputError, match="one fit over several processes"):
        layout(Parallel(devices=2), CPU)


@pytest.mark.parametrize("numbers", [{"devices": 0}, {"devices": -1}, {"nodes": 0}])
def test_a_fit_needs_a_process(numbers):
    with pytest.raises(InputError, match="at least one"):
        Parallel(**numbers)


def test_strategies_by_name():
    for name in ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false"):
        assert Parallel(strategy=name).strategy == name
    for name in ("fsdp", "deepspeed_stage_2"):
        with pytest.raises(InputError, match=rf"{name} is not supported, .*all parameters on every process"):
            Parallel(strategy=name)
    for name in ("ddp_spawn", "ddp_notebook"):
        with pytest.raises(InputError, match=rf"{name} is not supported, .*copies of this process"):
            Parallel(strategy=name)
    with pytest.raises(UnknownNameError, match="did you mean ddp_find_unused_parameters_true"):
        Parallel(strategy="ddp_find_unused")


@pytest.mark.parametrize(("rows", "world"), [(1, 1), (7, 1), (7, 2), (8, 3), (2, 3), (1, 4)])
def test_shares_weigh_as_the_whole_batch(rows, world):
    batch = np.arange(10, 10 + rows)
    shares = [share_of(batch, rank, world) for rank in range(world)]
    own = np.concatenate([share.rows[: share.counted] for share in shares])
    assert sorted(own) == list(batch)
    assert all(len(share.rows) for share in shares)  # every process joins in every batch
    errors = np.random.default_rng(0).normal(size=10 + rows)
    mean = sum(share.weight * errors[share.rows].mean() for share in shares) / world
    assert mean == pytest.approx(errors[batch].mean())


def test_the_mean_of_no_rows_counts_for_nothing():
    total = Sum()
    total.add(2.0, 3)
    total.add(float("nan"), 0)
    assert (total.total, total.count) == (6.0, 3)


@pytest.mark.parametrize("launcher", [None, "torchrun", "Slurm"])
def test_a_fit_leaves_no_trace_in_the_environment(environment, launcher):
    environment({None: {}, "torchrun": TORCHRUN, "Slurm": SLURM}[launcher])
    before = dict(os.environ)
    threads = torch.get_num_threads()
    with processes.surroundings(Layout(2, 3, launcher=launcher)) as cluster:
        os.environ |= {"LOCAL_RANK": "0", "OMP_NUM_THREADS": "3", "MASTER_PORT": "1"}  # as Lightning does
        os.environ.pop("WORLD_SIZE", None)
        torch.set_num_threads(threads + 1)
        if launcher is not None:
            assert cluster.global_rank() == process_rank()
            assert cluster.creates_processes_externally
    assert dict(os.environ) == before
    assert torch.get_num_threads() == threads


def sleeper():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def trainer_with(procs):
    return types.SimpleNamespace(strategy=types.SimpleNamespace(launcher=types.SimpleNamespace(procs=procs)))


def test_an_error_of_one_process_leaves_no_other_behind(monkeypatch):
    monkeypatch.setattr(processes, "SECONDS_AFTER_ERROR", 0.1)
    procs = [sleeper()]
    other = procs[0]
    with pytest.raises(ZeroDivisionError), processes.parting(trainer_with(procs), lambda: False):
        raise ZeroDivisionError
    assert other.returncode is not None
    assert procs == []  # or Lightning's observer would kill this process for the other's end


def test_processes_that_agree_on_an_end_may_end_by_themselves(monkeypatch):
    monkeypatch.setattr(processes, "SECONDS_AFTER_ERROR", 0.0)
    other = sleeper()
    started = time.monotonic()
    threading.Timer(0.5, other.terminate).start()
    with pytest.raises(ZeroDivisionError), processes.parting(trainer_with([other]), lambda: True):
        raise ZeroDivisionError
    assert time.monotonic() - started >= 0.4
    assert other.returncode == -15
