"""Processes that share a fit train like one, whoever starts them, and end together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

SCRIPT = """
import dataclasses, itertools, os, sys, time
from pathlib import Path

import numpy as np, torch
from moma_app.backbones.registry import get_backbone
from moma_app.errors import CancelledError, InputError, TrainingDivergedError
from moma_app.tasks import get_task, random_split
from moma_app.training.fit_module import FitData
from moma_app.training.loop import fit
from moma_app.training.model import Head, PropertyModel, TargetScale
from moma_app.training.settings import HeadConfig
from moma_app.training.parallel import Parallel, process_rank
from moma_app.training.recipe import load_recipe
from moma_app.training.settings import FitConfig
from moma_app.training.train_module import train_module

CONFIG = FitConfig(epochs=2, batch_size=3, learning_rate=3e-4, ema_decay=0.5)


def elements():
    data = get_task("elemental_bulk_modulus").load()
    return data.take(np.argsort(data.structures.n_atoms, kind="stable")[:20])


def fit_once(folder, parallel=None, *, bad_row=None, config=CONFIG, **options):
    data = elements()
    backbone = get_backbone("chgnet")
    torch.manual_seed(0)
    model = PropertyModel(backbone.pretrained(), Head(256, HeadConfig(hidden=8)), "all")
    scale = TargetScale.of(torch.from_numpy(data.targets[:16]))
    targets = data.targets.copy()
    if bad_row is not None:
        targets[bad_row] = np.nan
    # The one validation row leaves the second process without any.
    rows = FitData(backbone.graphs(data.structures), targets, np.arange(16), np.arange(16, 17))
    result = fit(model, rows, scale, config, folder, device="cpu", parallel=parallel, **options)
    return {
        "state": model.state_dict(),
        "val": [e.val_error for e in result.curve],
        "train": [e.train_error for e in result.curve],
        "processes": result.processes,
    }


def module_once(folder, parallel=None, **options):
    data = elements()
    recipe = load_recipe("short-cpu").with_fit(epochs=2, batch_size=4, head_epochs=2)
    module = train_module(
        data, random_split(len(data), 0), recipe, checkpoints=folder, device="cpu", parallel=parallel, **options
    )
    curve = module.card.curve
    return {
        "state": {name: module.tensor(name).clone() for name in module.names()},
        "val": [*(e.val_error for e in curve), module.card.metrics.test_mae],
        "train": [e.train_error for e in curve],
        "hardware": module.card.hardware.device,
    }


def main(folder, work):
    folder, rank, events = Path(folder), process_rank(), []
    (folder / f"rank-{rank}").touch()
    said = []
    options = {"progress": lambda event: said.append(event.kind)}
    try:
        if work == "module":
            result = module_once(folder / "ckpt", **options)
        elif work == "launched":
            try:
                fit_once(folder / "ckpt", Parallel(devices=4))
            except InputError as exc:
                refused = str(exc)
            result = fit_once(folder / "ckpt", Parallel(strategy="ddp"), **options) | {"refused": refused}
        elif work == "stopped":
            if rank == 0:
                steps = itertools.count()
                options["stop"] = lambda: next(steps) == 7
            result = fit_once(folder / "ckpt", Parallel(devices=2), **options)
        elif work == "diverged":
            result = fit_once(folder / "ckpt", Parallel(devices=2), bad_row=3, **options)
        else:
            result = fit_once(folder / "ckpt", Parallel(devices=2), resume=True, **options)
        if work == "launched":  # the first process goes on, without the others
            try:
                fit_once(folder / "again", Parallel(devices=2))
            except InputError as exc:
                result["again"] = str(exc)
            result["alone"] = fit_once(folder / "again", config=dataclasses.replace(CONFIG, epochs=1))["processes"]
    except (CancelledError, TrainingDivergedError) as exc:
        result = {"error": type(exc).__name__, "message": str(exc), "time": time.time()}
    finally:
        (folder / f"said-{rank}").write_text(" ".join(said))
    torch.save(result, folder / "result.pt")


def start_tasks(number):
    \"\"\"Go on as one of so many processes with Slurm's variables; imports are done once for all.\"\"\"
    tasks = []
    for rank in map(str, range(number)):
        task = os.fork()
        if not task:
            os.environ |= {"SLURM_PROCID": rank, "SLURM_LOCALID": rank}
            return
        tasks.append(task)
    ends = [os.waitstatus_to_exitcode(os.waitpid(task, 0)[1]) for task in tasks]
    sys.exit(next((end for end in ends if end), 0))


if __name__ == "__main__":
    if "SLURM_NTASKS" in os.environ:  # in the place of srun
        start_tasks(int(os.environ["SLURM_NTASKS"]))
    torch.set_num_threads(1)
    main(*sys.argv[1:])
"""

LAUNCHERS = ("TORCHELASTIC_", "SLURM_", "MASTER_", "GROUP_", "ROLE_")
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


def bare_environment():
    """The environment without a trace of a launcher that may run these tests."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in RANKS and not name.startswith(LAUNCHERS)
    } | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True, scope="module")
def no_launcher():
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(bare_environment()):
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "fit_script.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def here(script):
    """The script's functions, for the references in this process."""
    names = {"__name__": "fit_script"}
    exec(compile(script.read_text(), script, "exec"), names)
    return names


@pytest.fixture(scope="module")
def one(here, tmp_path_factory):
    """The fit in one process."""
    return here["fit_once"](tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def one_module(here, tmp_path_factory):
    """The module that one process trains."""
    return here["module_once"](tmp_path_factory.mktemp("one_module"))


def start(command, **environment):
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=bare_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that on a hang all its processes can be ended
    )


def finish(process):
    """Wait for a process and those it has started; return when the last had ended."""
    try:
        output, _ = process.communicate(timeout=120)  # the output ends when the last that shares it has
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail("a process did not end: one waits for another")
    assert process.returncode == 0, output
    return time.time()


def outcome(folder, ranks=2):
    assert {path.name for path in folder.glob("rank-*")} == {f"rank-{rank}" for rank in range(ranks)}
    assert (folder / "said-1").read_text() == ""
    return torch.load(folder / "result.pt", weights_only=True)


def assert_same_fit(two, one):
    torch.testing.assert_close(two["val"], one["val"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(two["train"], one["train"], rtol=1e-5, atol=1e-6)
    for name, tensor in one["state"].items():
        torch.testing.assert_close(
            two["state"][name], tensor, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_stopped_by_the_first_and_resumed_two_processes_give_the_weights_of_one(script, one, tmp_path):
    """Lightning starts the second process; the batches of three make for unequal shares."""
    finished = finish(start([script, tmp_path, "stopped"]))  # in the second of two epochs
    stopped = outcome(tmp_path)
    assert stopped["error"] == "CancelledError"
    assert finished - stopped["time"] < 10
    assert (tmp_path / "said-0").read_text().split() == ["Note", "EpochEnded"]

    finish(start([script, tmp_path, "resumed"]))
    resumed = outcome(tmp_path)
    assert resumed["processes"] == 2
    assert_same_fit(resumed, one)


def test_processes_of_torchrun_give_the_weights_of_one(script, one, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    finish(start([*launcher, script, tmp_path, "launched"]))
    two = outcome(tmp_path)
    assert two["processes"] == 2
    assert_same_fit(two, one)
    assert (tmp_path / "said-0").read_text().split() == ["Note", "EpochEnded", "EpochEnded", "FitEnded"]
    assert "torchrun has started 2 processes per node, but 4 devices" in two["refused"]
    assert "one fit over several processes" in two["again"]
    assert two["alone"] == 1


@pytest.fixture
def slurm():
    """What Slurm tells every task of a job of two, but for its number."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "fit", "SLURM_NTASKS": "2", "SLURM_NODEID": "0"}
    return job | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def test_tasks_of_slurm_train_the_module_of_one(script, slurm, one_module, tmp_path):
    finish(start([script, tmp_path, "module"], **slurm))
    two = outcome(tmp_path)
    assert two["hardware"].startswith("2 processes, each on ")
    assert_same_fit(two, one_module)


def test_a_loss_that_is_no_number_in_one_process_ends_both(script, slurm, tmp_path):
    finished = finish(start([script, tmp_path, "diverged"], **slurm))
    diverged = outcome(tmp_path)
    assert diverged["error"] == "TrainingDivergedError"
    assert "epoch 1 (loss nan)" in diverged["message"]
    assert finished - diverged["time"] < 10
