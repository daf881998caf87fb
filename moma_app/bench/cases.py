"""What is compared with what, and the bars: the catalogue of benchmarks. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moma_app.bench.sizes import Sizes
from moma_app.errors import UnknownNameError

GROWTH = "growth"
SCALING = "scaling"
SCHEDULER = "scheduler"
EXTRAS = {
    GROWTH: "time against rows, modules and atoms per cell; --figure draws it",
    SCALING: "what a large hub takes, by a model with coefficients measured here; "
    "--modules, --rows, --workers, --gpu-factor, --price",
    SCHEDULER: "as many tiny futures as a large hub has, through a Dask scheduler; --modules, --rows, --workers",
}
"""What is no comparison, but is asked for by name in the same place."""


@dataclass(frozen=True)
class Limit:
    """What our side may take at most."""

    what: Literal["seconds", "megabytes"]
    at_most: float


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        name: for the command line.
        work: what is done.
        against: whose work the other side is; ``None`` if there is only ours.
        unit: time is given per this.
        sizes: the usual sizes.
        builder: file of :mod:`moma_app.bench.work` that holds both sides.
        bar: least ratio of the other side's time to ours.
        limit: most that our side may take.
        tolerance: most by which the two sides' numbers may differ, in units of the largest.
        task: whose structures are used; ``None`` if none are needed.
        rows: which of them: drawn at random (the same ones each time), or the published train rows.
        device: where it runs.
        on_request: too long or too large to run unless it is named.
    """

    name: str
    work: str
    against: str | None
    unit: str
    sizes: Sizes
    builder: str
    bar: float | None = None
    limit: Limit | None = None
    tolerance: float = 1e-4
    task: str | None = None
    rows: Literal["random", "train"] = "random"
    device: Literal["cpu", "cuda"] = "cpu"
    on_request: bool = False

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides in the order in which they take turns."""
        return ("ours",) if self.against is None else ("ours", "theirs")


CASES: tuple[Case, ...] = (
    Case(
        name="training-step",
        work="training step: collate, forward, backward, AdamW",
        against="chgnet package, same batches",
        unit="step",
        sizes=Sizes(structures=300, batch_size=32),
        builder="training_step",
        bar=2.5,
        task="mp_bandgap",
    ),
    Case(
        name="last-layer-step",
        work="training step of the last layer and head, features below kept",
        against="ours, the whole network in every step",
        unit="step",
        sizes=Sizes(structures=300, batch_size=32),
        builder="last_layer",
        tolerance=1e-2,
        task="mp_bandgap",
    ),
    Case(
        name="encode",
        work="encoding with one module",
        against="chgnet package's predict_graph",
        unit="structure",
        sizes=Sizes(structures=300),
        builder="encode",
        bar=3,
        task="mp_bandgap",
    ),
    Case(
        name="encode-all",
        work="encoding with all built-in modules, train split",
        against="chgnet package, one module after another",
        unit="structure",
        sizes=Sizes(structures=886),
        builder="encode_all",
        bar=4,
        task="mp_phonons",
        rows="train",
    ),
    Case(
        name="graphs",
        work="graph building, one process",
        against="chgnet package's converter, one process",
        unit="structure",
        sizes=Sizes(structures=300),
        builder="graphs",
        bar=3,
        tolerance=0,
        task="mp_bandgap",
    ),
    Case(
        name="graphs-all-cores",
        work="graph building, as many processes as threads",
        against="ours, one process",
        unit="structure",
        sizes=Sizes(structures=10_000),
        builder="graphs_all_cores",
        tolerance=0,
        task="mp_bandgap",
    ),
    Case(
        name="cache",
        work="re-reading graphs from the cache",
        against="building them with ours, one process",
        unit="structure",
        sizes=Sizes(structures=300),
        builder="cache",
        bar=50,
        tolerance=0,
        task="mp_bandgap",
    ),
    Case(
        name="knn-weights",
        work="kNN estimates and composition weights",
        against="dense similarities, cvxpy on m rows",
        unit="composition",
        sizes=Sizes(rows=5630, width=64, modules=18),
        builder="knn_weights",
        bar=10,
        tolerance=1e-2,
    ),
    Case(
        name="weights-1000",
        work="composition weights of many modules",
        against=None,
        unit="solution",
        sizes=Sizes(rows=5630, modules=1000),
        builder="weights",
        limit=Limit("seconds", 5),
    ),
    Case(
        name="reweigh",
        work="weights for another T, from stored neighbours",
        against=None,
        unit="composition",
        sizes=Sizes(rows=5000, width=64, modules=18),
        builder="reweigh",
        limit=Limit("seconds", 0.2),
    ),
    Case(
        name="runs-list",
        work="`moma runs list` of the newest among many runs, start-up included",
        against=None,
        unit="list",
        sizes=Sizes(rows=10_000),
        builder="runs_list",
        limit=Limit("seconds", 1),
    ),
    Case(
        name="training-step-gpu",
        work="training step on a GPU",
        against="chgnet package on the same GPU",
        unit="step",
        sizes=Sizes(structures=2048, batch_size=256),
        builder="training_step",
        bar=10,
        tolerance=1e-3,
        task="mp_bandgap",
        device="cuda",
    ),
    Case(
        name="encode-gpu",
        work="encoding on a GPU",
        against="chgnet package on the same GPU",
        unit="structure",
        sizes=Sizes(structures=2048),
        builder="encode",
        bar=10,
        tolerance=1e-3,
        task="mp_bandgap",
        device="cuda",
    ),
    Case(
        name="knn-large",
        work="kNN estimate of a large task",
        against=None,
        unit="estimate",
        sizes=Sizes(rows=132_752, width=256),
        builder="knn",
        limit=Limit("megabytes", 8 * 1024),
        on_request=True,
    ),
    Case(
        name="merge",
        work="merging modules from disk",
        against=None,
        unit="merge",
        sizes=Sizes(modules=18, parameters=160_000_000),
        builder="merge",
        limit=Limit("megabytes", 4 * 1024),
        on_request=True,
    ),
)


def choose(names: Sequence[str]) -> list[Case]:
    """Return the named cases, or those that run unless told otherwise; the extras are not among them.

    Raises:
        UnknownNameError: there is no such case.
    """
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known and name not in EXTRAS:
            raise UnknownNameError("benchmark", name, [*known, *EXTRAS], "See moma bench --list.")
    if not names:
        return [case for case in CASES if not case.on_request]
    return [known[name] for name in dict.fromkeys(names) if name not in EXTRAS]
