"""The futures of a large composition through a real scheduler, in every way to submit them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from moma_app.bench.cases import SCALING, SCHEDULER
from moma_app.bench.job import Job
from moma_app.bench.result import Submission
from moma_app.bench.scaling import CHUNK
from moma_app.bench.session import Session
from moma_app.bench.sizes import Sizes, required
from moma_app.errors import InputError, MissingDependencyError
from moma_app.progress import Listener, Step, silent

WAYS: Mapping[str, str] = {
    "submit": "Client.submit for each",
    "map_": "Client.map in batches of 1,000",
    "graph": "one graph at once",
    "bundle": "Client.map, 10 chunks a future",
}
"""Function of :mod:`moma_app.bench.work.scheduler`, and what people call it."""
USUAL = Sizes(modules=1_000, rows=100 * CHUNK, workers=2)
"""100 chunks of 1,000 modules; the workers do nothing, so two of them are enough for two cores."""
MOST = 1_000_000
"""Tasks; a scheduler and a client hold some kilobytes for each."""
NEEDED = {
    SCHEDULER: ("distributed", "psutil"),
    SCALING: ("distributed", "psutil", "mlflow", "sqlalchemy", "alembic"),
}
"""Packages of the extras; the last two are those of MLflow's SQLite store."""


def check_packages(names: Iterable[str]) -> None:
    """Make sure that what these extras need can be imported.

    Raises:
        MissingDependencyError: a package is missing.
    """
    for name in names:
        for package in NEEDED.get(name, ()):
            if find_spec(package) is None:
                raise MissingDependencyError(
                    f"The benchmark {name} needs the package {package!r}: run pip install {package}."
                )


def check_sizes(sizes: Sizes) -> None:
    """Make sure that there are not too many tasks for the memory of a usual machine.

    Raises:
        InputError: there are.
    """
    tasks = required(sizes.modules) * -(-required(sizes.rows) // CHUNK)
    if tasks > MOST:
        raise InputError(
            f"{tasks:,} tasks are more than the {MOST:,} that a scheduler is given here: "
            "give fewer --modules or --rows."
        )


def simulate(sizes: Sizes, ways: Iterable[str] = WAYS, progress: Listener = silent) -> list[Submission]:
    """Send the futures of ``modules`` times ``rows`` / 10,000 chunks through a scheduler, once in each way.

    Each way has a scheduler, workers and a client of its own, so that memory is its own too.

    Args:
        sizes: modules, rows, workers.
        ways: of :data:`WAYS`.
        progress: listener.

    Raises:
        InputError: there are too many.
        MomaError: the scheduler does not start, or results are missing.
    """
    check_sizes(sizes)
    chosen = list(ways)
    found = []
    for done, way in enumerate(chosen, start=1):
        with tempfile.TemporaryDirectory(prefix="moma-bench-") as folder:
            found.append(_run(way, sizes, Path(folder)))
        progress(Step(what=SCHEDULER, done=done, total=len(chosen), fraction=done / len(chosen)))
    return found


def _run(way: str, sizes: Sizes, folder: Path) -> Submission:
    job = Job("scheduler", way, sizes, threads=1, device="cpu", inputs=None, scratch=str(folder))
    with Session(job) as session:
        session.wait_until_ready()
        session.run()
        end = session.end()
    idle, most = end["idle_mb"], end["peak_mb"]
    work = None if idle is None or most is None else max(0.0, most - idle)
    return Submission(way=WAYS[way], client_mb=most, client_work_mb=work, **end["facts"])
