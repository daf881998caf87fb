"""Meeting and leaving the other processes of a fit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import lightning as L  # noqa: N812
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from moma_app.training.parallel import Layout, begin

SECONDS_TO_END = 30.0
"""Time that the other processes get to end by themselves once a fit is over for all."""
SECONDS_AFTER_ERROR = 5.0
"""The same after an error of this process alone: they may wait for it for ever, or be saying what failed."""

_TOUCHED = (
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "OMP_NUM_THREADS",
    "SLURM_NTASKS_PER_NODE",
    "WORLD_SIZE",
)
"""What Lightning and we set in the environment for a fit over several processes."""


@contextmanager
def surroundings(layout: Layout) -> Iterator[ClusterEnvironment]:
    """Give Lightning the environment of these processes, and leave no trace of it in this one.

    Lightning's own search would take every Slurm job for one whose processes ``srun`` has started,
    and would let Slurm's signals write checkpoints of its own into the working directory.
    """
    if layout.processes == 1:
        yield LightningEnvironment()
        return
    begin(layout)
    before = {name: os.environ.get(name) for name in _TOUCHED}
    threads = torch.get_num_threads()
    # So that the processes that Lightning starts know their number on all nodes.
    os.environ["LOCAL_WORLD_SIZE"] = str(layout.per_node)
    try:
        if layout.launcher == "torchrun":
            yield TorchElasticEnvironment()
        elif layout.launcher == "Slurm":
            # Lightning insists on --ntasks-per-node, which says no more than --ntasks and --nodes.
            os.environ["SLURM_NTASKS_PER_NODE"] = str(layout.per_node)
            yield SLURMEnvironment(auto_requeue=False)
        else:
            yield LightningEnvironment()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if torch.get_num_threads() != threads:  # Lightning shares the cores out among the processes
            torch.set_num_threads(threads)


@contextmanager
def parting(trainer: L.Trainer, agreed: Callable[[], bool]) -> Iterator[None]:
    """Part from the other processes when the fit in this block is over, however it ends.

    The first process can then go on for as long as it likes: no process waits for another, and
    those that Lightning has started for this one have ended.

    Args:
        trainer: of the fit.
        agreed: tells after an error whether the other processes end with it too.
    """
    met_before = _met()
    over = False
    try:
        yield
        over = True
    except BaseException:
        over = agreed()
        raise
    finally:
        # The list is Lightning's: while one is in it that ends badly, this process will be killed.
        started: list[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
        others = list(started)
        started.clear()
        if not over:
            _end(others, SECONDS_AFTER_ERROR)
        if _met() and not met_before:
            torch.distributed.destroy_process_group()
        _end(others, SECONDS_TO_END)


def _met() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _end(processes: list[subprocess.Popen[bytes]], seconds: float) -> None:
    """Wait for processes to end, and kill those that have not by then."""
    for process in processes:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
