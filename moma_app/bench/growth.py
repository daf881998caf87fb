"""How our time grows with rows, modules and atoms per cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from moma_app.bench.cases import Case
from moma_app.bench.inputs import Chosen, small_structures, structures_near
from moma_app.bench.result import GrowthPoint
from moma_app.bench.run import Conduct, run_case
from moma_app.bench.sizes import Sizes
from moma_app.progress import Listener, Step, silent

ROWS = (1_000, 2_000, 5_000, 10_000)
SMALL = 20
"""Most atoms of the cells whose number grows, so that ten thousand take minutes."""
WIDTH = 256
"""Length of a CHGNet embedding, all layers side by side."""
MODULES = (1, 2, 4, 8, 16)
ENCODED = 200
"""Structures that a growing number of modules encodes."""
ATOMS = (5, 10, 20, 50, 100)
CELLS = 16
"""Cells of about one size; a training step takes all of them."""


@dataclass(frozen=True)
class Point:
    """One measurement to be made.

    Attributes:
        axis: what grows.
        label: of the curve.
        size: how large it is here; for atoms per cell the mean of the chosen cells replaces it.
        case: our side of the work.
        choose: which structures.
        per_structure: give the time for one structure, not for all.
    """

    axis: str
    label: str
    size: int
    case: Case
    choose: Callable[[], Chosen] | None = None
    per_structure: bool = False


def usual_plan(task: str = "mp_bandgap") -> list[Point]:
    """Return the points of all curves; their structures are a task's."""
    return [
        *(encoding_point(task, rows) for rows in ROWS),
        *(knn_point(rows) for rows in ROWS),
        *(modules_point(task, modules) for modules in MODULES),
        *(atoms_point(task, "training_step", "training step", atoms) for atoms in ATOMS),
        *(atoms_point(task, "encode", "encoding", atoms) for atoms in ATOMS),
    ]


def encoding_point(task: str, rows: int) -> Point:
    """Encode so many small cells with one module."""
    return Point(
        "rows",
        "encoding with one module",
        rows,
        _ours("encode", Sizes(structures=rows)),
        partial(small_structures, task, rows, SMALL),
    )


def knn_point(rows: int) -> Point:
    """Estimate so many rows from their neighbours."""
    return Point("rows", "kNN estimate", rows, _ours("knn", Sizes(rows=rows, width=WIDTH)))


def modules_point(task: str, modules: int, structures: int = ENCODED) -> Point:
    """Encode small cells with so many modules; beyond the built-in ones they are copies."""
    return Point(
        "modules",
        "encoding with all modules",
        modules,
        _ours("encode_all", Sizes(structures=structures, modules=modules)),
        partial(small_structures, task, structures, SMALL),
    )


def atoms_point(task: str, builder: str, label: str, atoms: int, cells: int = CELLS) -> Point:
    """Work on cells of about so many atoms."""
    return Point(
        "atoms per cell",
        label,
        atoms,
        _ours(builder, Sizes(structures=cells, batch_size=cells)),
        partial(structures_near, task, atoms, cells),
        per_structure=True,
    )


def _ours(builder: str, sizes: Sizes) -> Case:
    return Case(name=builder, work=builder, against=None, unit="", sizes=sizes, builder=builder)


def measure_growth(plan: Sequence[Point], conduct: Conduct, progress: Listener = silent) -> list[GrowthPoint]:
    """Measure the points one after another.

    Raises:
        DataNotFoundError: a task's data is not on this machine.
        MomaError: a worker failed.
    """
    found = []
    for done, point in enumerate(plan, start=1):
        chosen = None if point.choose is None else point.choose()
        ours = run_case(point.case, conduct, chosen=chosen).ours
        size, parts = point.size, 1
        if chosen is not None and point.per_structure:
            size, parts = round(float(chosen[0].n_atoms.mean())), len(chosen[0])
        found.append(
            GrowthPoint(
                axis=point.axis,
                label=point.label,
                size=size,
                seconds=ours.median * ours.units / parts,
                per="structure" if point.per_structure else "all",
                peak_mb=ours.peak_mb,
                peak_share=ours.peak_share,
            )
        )
        progress(Step(what="growth", done=done, total=len(plan), fraction=done / len(plan)))
    return found


def exponents(points: Iterable[GrowthPoint]) -> list[tuple[str, str, float]]:
    """Return (axis, curve, p) with p in time ~ size^p, from a curve's first point to its last."""
    found = []
    for (axis, label), group in groupby(points, key=lambda point: (point.axis, point.label)):
        first, *_, last = [*group] * 2
        if last.size != first.size:
            power = math.log(last.seconds / first.seconds) / math.log(last.size / first.size)
            found.append((axis, label, power))
    return found
