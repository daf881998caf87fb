"""How many processes share one fit, who starts them, and which of them this one is.

Nothing here imports PyTorch or Lightning before it is needed: a command asks for its rank at once.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from moma_app.errors import InputError, UnknownNameError
from moma_app.progress import Listener, silent

if TYPE_CHECKING:
    import torch

Launcher = Literal["torchrun", "Slurm"]

PARTLY_UNUSED = "ddp_find_unused_parameters_true"
"""Strategy of ``auto``: a share of a batch may lack what a layer acts on, no bond under 3 Å, so no angle."""


@dataclass(frozen=True)
class Parallel:
    """How many processes share a fit, one for each GPU (or, on CPUs, as many as asked for).

    Attributes:
        devices: processes on each node; by default what ``torchrun`` or Slurm has started, else
            one for each GPU, or one on a CPU.
        nodes: machines; 1 also stands for what ``torchrun`` or Slurm has started.
        strategy: Lightning's name of a DDP strategy, or ``auto``. A fit in one process needs none.

    Raises:
        InputError: no device or node, or a strategy that the fit loop cannot work with.
        UnknownNameError: no strategy has this name.
    """

    devices: int | None = None
    nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        if self.devices is not None and self.devices < 1:
            raise InputError(f"A fit needs at least one device, not {self.devices}.")
        if self.nodes < 1:
            raise InputError(f"A fit needs at least one node, not {self.nodes}.")
        if self.strategy != "auto":
            _check_strategy(self.strategy)


@dataclass(frozen=True)
class Layout:
    """The processes of a fit, settled: see :func:`layout`.

    Attributes:
        per_node: processes on each node.
        nodes: machines.
        strategy: Lightning's name of the strategy.
        launcher: who has started the processes; ``None`` if Lightning will, or none are needed.
        local_rank: number of this process on its node.
        note: something the user should know of the choice.
    """

    per_node: int = 1
    nodes: int = 1
    strategy: str = "auto"
    launcher: Launcher | None = None
    local_rank: int = 0
    note: str | None = None

    @property
    def processes(self) -> int:
        """Processes on all nodes."""
        return self.per_node * self.nodes

    @property
    def finds_unused(self) -> bool:
        """Whether the strategy itself finds parameters that a share of a batch does not use."""
        return self.processes == 1 or self.strategy == PARTLY_UNUSED

    def device(self, device: torch.device) -> torch.device:
        """Return the device of this very process: each has a GPU of its own, and makes it the current one."""
        if device.type != "cuda" or self.processes == 1:
            return device
        import torch

        own = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(own)
        return own


@dataclass(frozen=True)
class _Launch:
    """Processes that a launcher outside of this program has started, and which of them this one is."""

    launcher: Launcher
    processes: int
    nodes: int
    rank: int
    local_rank: int

    @property
    def per_node(self) -> int:
        if self.processes % self.nodes:
            raise InputError(
                f"{self.launcher} has started {self.processes} processes on {self.nodes} nodes: start the same "
                "number on each."
            )
        return self.processes // self.nodes


def launched_processes() -> int:
    """Return how many processes ``torchrun`` or Slurm's ``srun`` has started for this program, 1 if none.

    A Slurm job of one task, or one called ``bash`` or ``interactive`` (a shell on a compute node),
    has started nothing: Lightning then starts the processes itself.
    """
    launch = _launch()
    return 1 if launch is None else launch.processes


def process_rank() -> int:
    """Return the number of this process among those of its fit; 0 is the one that goes on after it.

    Known from the start of the program, long before the processes meet in the fit, from what
    ``torchrun``, Slurm or Lightning (for the processes that it starts) leave in the environment. Only
    without a launcher on several nodes are numbers over 0 not exact before the fit; 0 always is.
    """
    launch = _launch()
    if launch is not None:
        return launch.rank
    per_node = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return int(os.environ.get("NODE_RANK", "0")) * per_node + _local_rank()


def only_first(progress: Listener) -> Listener:
    """Return the listener in the first process, and one that hears nothing in the others."""
    return silent if process_rank() else progress


def layout(parallel: Parallel | None, device: torch.device) -> Layout:
    """Settle the processes of a fit: what was asked for, what a launcher has started, which GPUs are here.

    It is quick, so that a mismatch shows before any work; the fit itself asks again.

    Args:
        parallel: what was asked for; ``None`` for the defaults.
        device: where to run; a GPU with a number (``cuda:1``) is that one alone.

    Raises:
        InputError: a launcher has started another number of processes than asked for, there are
            too few GPUs, nobody would start the processes of the other nodes, or this program has
            done its fit over several processes already.
    """
    asked = parallel or Parallel()
    launch = _launch()
    if _begun and asked.nodes == 1 and asked.devices in (None, 1):
        # The others have ended. What asks for nothing must not fail for that.
        others = asked.devices is None and (launch.processes if launch else _default(device)) > 1
        note = "The other processes have ended with their fit: this one runs in one process."
        return Layout(note=note if others else None)
    if launch is not None:
        _check_launch(asked, launch)
        per_node, nodes = launch.per_node, launch.nodes
    else:
        per_node, nodes = asked.devices or _default(device), asked.nodes
    if per_node * nodes == 1:
        return Layout(launcher=launch.launcher if launch else None)
    if _begun:
        raise InputError(
            "A program can do one fit over several processes, which end with it: start the next fit as a "
            "program of its own, or on one device."
        )
    if launch is None:
        _check_own_start(per_node, nodes)
    _check_devices(per_node, device)
    strategy = PARTLY_UNUSED if asked.strategy == "auto" else asked.strategy
    if launch is None:
        return Layout(per_node, nodes, strategy, local_rank=_local_rank())
    return Layout(per_node, nodes, strategy, launch.launcher, launch.local_rank)


def hardware_of(processes: int, device: torch.device) -> str:
    """Return one line that names what a fit ran on: the processes' number, if several, and their device."""
    from moma_app.runtime import describe_hardware

    one = describe_hardware(device)
    return one if processes == 1 else f"{processes} processes, each on {one}"


_begun: list[Layout] = []
"""The fit over several processes that this program has begun; it can be only one."""


def begin(chosen: Layout) -> None:
    """Remember that this program's fit over several processes has begun."""
    _begun.append(chosen)


def _launch() -> _Launch | None:
    # As Lightning's TorchElasticEnvironment.detect and SLURMEnvironment.detect, without importing them.
    environ = os.environ
    if "TORCHELASTIC_RUN_ID" in environ:
        world, local = int(environ.get("WORLD_SIZE", "1")), int(environ.get("LOCAL_WORLD_SIZE", "1"))
        nodes = int(environ.get("GROUP_WORLD_SIZE", str(max(1, world // local))))
        return _Launch("torchrun", world, nodes, int(environ.get("RANK", "0")), _local_rank())
    tasks = int(environ.get("SLURM_NTASKS") or "1")
    if tasks > 1 and environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        nodes = int(environ.get("SLURM_NNODES") or "1")
        rank, local_rank = (int(environ.get(f"SLURM_{name}") or "0") for name in ("PROCID", "LOCALID"))
        return _Launch("Slurm", tasks, nodes, rank, local_rank)
    return None


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def _default(device: torch.device) -> int:
    """Return how many processes a fit has on this machine if nothing is asked for."""
    # A notebook cannot be run again by the other processes.
    if device.type != "cuda" or _numbered(device) or _interactive():
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def _numbered(device: torch.device) -> bool:
    return ":" in str(device)


def _interactive() -> bool:
    return hasattr(sys, "ps1")


def _check_launch(asked: Parallel, launch: _Launch) -> None:
    started = f"{launch.launcher} has started {launch.per_node} process{'es' if launch.per_node > 1 else ''} per node"
    if asked.devices not in (None, launch.per_node):
        raise InputError(
            f"{started}, but {asked.devices} device{'s' if asked.devices != 1 else ''} per node were asked for: "
            "let both numbers agree, or leave --devices out."
        )
    if asked.nodes not in (1, launch.nodes):
        raise InputError(
            f"{started} on {launch.nodes} node{'s' if launch.nodes > 1 else ''}, but {asked.nodes} nodes were "
            "asked for: let both numbers agree, or leave --nodes out."
        )


def _check_own_start(per_node: int, nodes: int) -> None:
    """Refuse what would wait for ever for processes that nobody starts."""
    if nodes > 1 and not {"NODE_RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise InputError(
            f"Nobody has started this program on the other nodes ({nodes} were asked for): start it with torchrun "
            "or srun, or on each node with NODE_RANK, MASTER_ADDR and MASTER_PORT set."
        )
    if per_node > 1 and _interactive():
        raise InputError(
            f"{per_node} processes cannot share a fit of an interactive session, because each runs the program "
            "from its start: run a script or the moma command, or use one device."
        )


def _check_devices(per_node: int, device: torch.device) -> None:
    if device.type == "cuda":
        import torch

        visible = torch.cuda.device_count()
        if _numbered(device):
            raise InputError(
                f"{device} is one GPU, but several processes were asked for: use the device cuda, and "
                "CUDA_VISIBLE_DEVICES to choose among the GPUs."
            )
        if visible < per_node:
            raise InputError(
                f"{per_node} processes per node need as many GPUs, and this one sees {visible}: ask for fewer "
                "devices, or let every process see all GPUs of its node (Slurm: --gres=gpu:N, not --gpus-per-task)."
            )
    elif device.type != "cpu":
        raise InputError(f"A fit on {device.type} runs in one process: use one device.")


def _check_strategy(name: str) -> None:
    from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry

    usable = {
        known: entry["init_params"].get("start_method", "popen")
        for known, entry in StrategyRegistry.items()
        if entry["strategy"] is DDPStrategy  # DeepSpeed's is derived from it, but shares parameters out
    }
    if name not in StrategyRegistry:
        programs = [known for known, start in usable.items() if start == "popen"]
        raise UnknownNameError("strategy", name, ["auto", *programs])
    if name not in usable:
        raise InputError(
            f"The strategy {name} is not supported, because checkpoints and the averaged weights need all "
            f"parameters on every process: use auto, ddp or {PARTLY_UNUSED}."
        )
    if usable[name] != "popen":
        raise InputError(
            f"The strategy {name} is not supported, because it trains in copies of this process, whose record and "
            f"progress would be lost: use auto, ddp or {PARTLY_UNUSED}, which run the program anew."
        )
