"""Options that several commands share, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only warnings.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"] | None,
    typer.Option("--device", help="Where networks run; auto takes a CUDA GPU if there is one."),
]
HubPath = Annotated[
    str | None,
    typer.Option(
        "--hub",
        help="A hub's name or folder, 'builtin' or 'clean'; by default your hub and the built-in one.",
    ),
]
SplitSeed = Annotated[
    int, typer.Option("--split", min=0, help="Seed of the split; 0 to 4 are the published ones.")
]
Shots = Annotated[int | None, typer.Option("--shots", min=1, help="Use so many training rows only.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of weights, batches and few-shot rows.")]
K = Annotated[int, typer.Option("--k", min=1, help="Neighbours of the kNN estimate (Eq. 1).")]
Temperature = Annotated[
    float, typer.Option("--temperature", "-T", help="T in exp(cos/T) of the kNN estimate (Eq. 1).")
]
Kind = Annotated[Literal["full", "adapter"], typer.Option("--kind", help="Which modules to compose.")]
Modules = Annotated[
    list[str] | None, typer.Option("--module", "-m", help="Only this module; can be given several times.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what has the same name.")]
Engine = Annotated[
    Literal["local", "inline"] | None,
    typer.Option("--engine", help="Where the work runs: local workers (or --scheduler), or this process."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="A running Dask cluster: tcp://host:8786, or its scheduler file."),
]
Detach = Annotated[bool, typer.Option("--detach", help="Start the run and return; see moma runs.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the same work where it stopped.")]
Priority = Annotated[int, typer.Option("--priority", help="Runs with a higher number start first.")]
Memory = Annotated[
    float | None,
    typer.Option("--memory", min=0, help="GiB that the worker must offer, see docs/cluster.md."),
]
Devices = Annotated[
    int | None, typer.Option("--devices", min=1, help="Processes that share the fit, one for each GPU.")
]
Nodes = Annotated[
    int, typer.Option("--nodes", min=1, help="Machines that share the fit, started by torchrun or Slurm.")
]
Strategy = Annotated[str, typer.Option("--strategy", help="Lightning's strategy for several processes.")]
Files = Annotated[
    list[Path],
    typer.Argument(
        help="CIF, POSCAR, JSON or xyz files, folders of them, or tables (CSV, Parquet, …) with a column of structures."
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave unusable files out instead of stopping.")]
