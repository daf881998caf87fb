"""The data of one task in memory: ids, structures and targets, row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError
from moma_app.formulas import reduced_formula
from moma_app.structures import StructureSet
from moma_app.tasks.specs import TaskSpec
from moma_app.text import brief, count, with_unit

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TaskData:
    """All rows of a task.

    Attributes:
        spec: what the task is; unit and transform are those of ``targets``.
        ids: material ids, n of them; not always unique in the published data.
        rows: row indices in the source dataset, to which split files refer, int32 [n].
        structures: the n structures.
        targets: targets after the transform; class indices for classification, float64 [n].
        forces: forces in eV/Å on all atoms in the order of ``structures.numbers``,
            float64 [n_atoms_total, 3], or None.
        metadata: what the stored file says of itself (origin, full_rows, row_order, …).
    """

    spec: TaskSpec
    ids: list[str]
    rows: NDArray[np.int32]
    structures: StructureSet
    targets: NDArray[np.float64]
    forces: NDArray[np.float64] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.rows), len(self.structures), len(self.targets)}
        if len(lengths) != 1:
            raise InputError(
                f"Task {self.spec.name}: {len(self.ids)} ids, {len(self.rows)} rows, "
                f"{len(self.structures)} structures and {len(self.targets)} targets do not fit together."
            )
        if self.forces is not None and self.forces.shape != (len(self.structures.numbers), 3):
            raise InputError(
                f"Task {self.spec.name}: forces of shape {self.forces.shape} do not fit "
                f"{len(self.structures.numbers)} atoms."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        spec = self.spec
        return brief(self, f"{spec.name}: {count(len(self), 'row')}, {with_unit(spec.property, spec.unit)}")

    def _repr_html_(self) -> str:
        from moma_app.tasks.display import data_html

        return data_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a line for each row: ``id``, ``formula``, ``n_atoms``, ``target``, and of classes their names.

        The frame's ``attrs`` have ``task``, ``property`` and ``unit`` of the target.
        """
        import pandas as pd

        numbers, ptr = self.structures.numbers.tolist(), self.structures.ptr.tolist()
        table = pd.DataFrame(
            {
                "id": self.ids,
                "formula": [reduced_formula(numbers[start:end]) for start, end in pairwise(ptr)],
                "n_atoms": self.structures.n_atoms,
                "target": self.targets,
            }
        )
        if self.spec.classes:
            table["class"] = [self.spec.classes[int(value)] for value in self.targets]
        table.attrs = {"task": self.spec.name, "property": self.spec.property, "unit": self.spec.unit}
        return table

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> TaskData:
        """Return the rows at the positions ``indices``, in that order.

        Raises:
            InputError: a position is negative or too large.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self)):
            raise InputError(
                f"Task {self.spec.name} has rows 0 to {len(self) - 1}: a position is outside of them."
            )
        forces = None
        if self.forces is not None:
            ptr = self.structures.ptr
            pieces = [self.forces[ptr[i] : ptr[i + 1]] for i in chosen]
            forces = np.concatenate(pieces) if pieces else np.zeros((0, 3))
        return replace(
            self,
            ids=[self.ids[i] for i in chosen],
            rows=self.rows[chosen],
            structures=self.structures.take(chosen),
            targets=self.targets[chosen],
            forces=forces,
        )

    @cached_property
    def _hash(self) -> str:
        digest = hashlib.sha256()
        for text in self.ids:
            digest.update(text.encode("utf-8") + b"\0")
        arrays: list[tuple[NDArray[Any], str]] = [
            (self.structures.ptr, "<i8"),
            (self.structures.numbers, "<i2"),
            (self.structures.cells, "<f8"),
            (self.structures.frac_coords, "<f8"),
            (self.targets, "<f8"),
        ]
        if self.forces is not None:
            arrays.append((self.forces, "<f8"))
        for array, kind in arrays:
            digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        return digest.hexdigest()

    def content_hash(self) -> str:
        """Return the SHA-256 of ids, structures, targets and forces, the same on every machine.

        Row indices and the spec do not enter: graphs and embeddings do not depend on them.
        """
        return self._hash

    def summary(self) -> dict[str, Any]:
        """Return a JSON-ready description: sizes, elements and target statistics."""
        counts = self.structures.n_atoms
        return {
            "name": self.spec.name,
            "rows": len(self),
            "atoms_per_structure": {
                "mean": float(counts.mean()) if len(counts) else None,
                "max": int(counts.max()) if len(counts) else None,
            },
            "elements": len(np.unique(self.structures.numbers)),
            "unit": self.spec.unit,
            "target": target_summary(self.targets, self.spec),
            "origin": self.metadata.get("origin", ""),
        }


def target_summary(targets: NDArray[np.float64], spec: TaskSpec) -> dict[str, Any]:
    """Describe targets [n]: statistics for regression, rows per class for classification.

    ``mad`` is the mean absolute deviation from the mean: the error of always predicting the
    mean, with which a test MAE is compared.
    """
    if not len(targets):
        return {"n": 0}
    if spec.kind == "classification":
        values, counts = np.unique(targets.astype(np.int64), return_counts=True)
        names = [spec.classes[v] if spec.classes else str(v) for v in values]
        return {"n": len(targets), "classes": dict(zip(names, counts.tolist(), strict=True))}
    mean = float(targets.mean())
    return {
        "n": len(targets),
        "mean": mean,
        "std": float(targets.std()),
        "mad": float(np.abs(targets - mean).mean()),
        "min": float(targets.min()),
        "median": float(np.median(targets)),
        "max": float(targets.max()),
    }
