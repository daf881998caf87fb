"""Each module's nearest rows as a file: with them K, T or the set of modules change without encoding anew.

Who is near whom depends on the embeddings only; K and T select among the neighbours and weigh them
(Eq. 1). Nothing here needs the networks or PyTorch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moma_app.amc.neighbours import NearestRows, check_k, shares
from moma_app.errors import DamagedFileError, DataNotFoundError, InputError, UnknownNameError
from moma_app.files import atomic_path
from moma_app.text import brief, count

FORMAT = "1"
MOST = 32
"""Neighbours that are kept of every row at most: searching for so many takes a quarter longer than for five."""
LARGEST = 50_000_000
"""Bytes of all neighbours, unless K needs more."""
ENTRY = 12
"""Bytes of one neighbour: row number int32, similarity float64."""


class Neighbour(NamedTuple):
    """A row that an estimate rests on.

    Attributes:
        row: its number among the train rows.
        similarity: cosine similarity of the embeddings.
        weight: its share in the estimate, 0 to 1.
    """

    row: int
    similarity: float
    weight: float


def neighbours_to_keep(k: int, m: int, modules: int) -> int:
    """Return how many neighbours of each of ``m`` rows to search and keep for a composition with ``k``.

    Raises:
        InputError: ``k`` does not fit the number of rows.
    """
    check_k(k, m)
    affordable = LARGEST // (ENTRY * m * max(modules, 1))
    return min(m - 1, max(k, min(MOST, affordable)))


@dataclass(frozen=True, eq=False)
class StoredNeighbours:
    """The nearest train rows of every train row, as each module sees them.

    Attributes:
        task: name of the task.
        modules: names, N of them.
        sha256: of each module's tensor file, or empty.
        ids: of the m train rows; not always unique.
        rows: positions of the train rows in the task's data, int32 [m].
        targets: of the train rows in the task's unit, float64 [m].
        indices: numbers of the nearest train rows, nearest first, int32 [N, m, K].
        similarities: their cosine similarities, float64 [N, m, K].
    """

    task: str
    modules: tuple[str, ...]
    sha256: tuple[str, ...]
    ids: tuple[str, ...]
    rows: NDArray[np.int32]
    targets: NDArray[np.float64]
    indices: NDArray[np.int32]
    similarities: NDArray[np.float64]

    def __repr__(self) -> str:
        modules, rows = count(len(self.modules), "module"), count(len(self.ids), "row")
        return brief(self, f"{self.task}: the {self.indices.shape[2]} nearest of {rows} to {modules}")

    def __post_init__(self) -> None:
        shape = (len(self.modules), len(self.ids))
        if not (
            self.indices.shape == self.similarities.shape
            and self.indices.ndim == 3
            and self.indices.shape[:2] == shape
            and self.indices.shape[2] >= 1
            and len(self.sha256) == len(self.modules)
            and self.rows.shape == self.targets.shape == shape[1:]
        ):
            raise InputError(
                f"The neighbours of {shape[0]} modules for {shape[1]} rows do not fit together: indices "
                f"{self.indices.shape}, similarities {self.similarities.shape}, targets {self.targets.shape}."
            )

    @property
    def k_max(self) -> int:
        """Neighbours that are kept of each row: the largest K."""
        return int(self.indices.shape[2])

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.modules)}

    def nearest(self, module: str, k: int) -> NearestRows:
        """Return the ``k`` nearest rows of every row by one module.

        Raises:
            InputError: more neighbours are asked for than are kept; says to compose anew.
            UnknownNameError: the module took no part in the composition.
        """
        self._check(module, k)
        of_module = NearestRows(self.indices[self._number[module]], self.similarities[self._number[module]])
        return of_module.first(k)

    def neighbours(self, module: str, row: int, *, k: int, temperature: float) -> list[Neighbour]:
        """Return what a module's estimate of one row rests on, nearest first.

        Args:
            module: name of the module.
            row: number of the train row, 0 to m - 1.
            k, temperature: of Eq. 1.

        Raises:
            InputError: there is no such row, T is not positive, or K is not kept; see :meth:`nearest`.
            UnknownNameError: the module took no part in the composition.
        """
        self._check(module, k)
        if not 0 <= row < len(self.ids):
            raise InputError(f"There is no training row {row}: there are {len(self.ids)}, from 0 on.")
        number = self._number[module]
        similarities = self.similarities[number, row : row + 1, :k]
        (weights,) = shares(similarities, temperature)
        found = zip(self.indices[number, row, :k], similarities[0], weights, strict=True)
        return [Neighbour(int(index), float(near), float(weight)) for index, near, weight in found]

    def _check(self, module: str, k: int) -> None:
        if module not in self._number:
            raise UnknownNameError("module in this composition", module, self.modules)
        check_k(k, len(self.ids))
        if k > self.k_max:
            raise InputError(
                f"K = {k} is more than the {self.k_max} neighbours that this composition has kept: compose anew with K = {k}."
            )

    def save(self, path: Path) -> None:
        """Write a safetensors file; it appears wholly or not at all."""
        from safetensors.numpy import save_file

        arrays = {
            "rows": self.rows,
            "targets": self.targets,
            "indices": self.indices,
            "similarities": self.similarities,
        }
        names = {"modules": self.modules, "sha256": self.sha256, "ids": self.ids}
        metadata = {"format": FORMAT, "task": self.task, **{k: json.dumps(v) for k, v in names.items()}}
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with atomic_path(path) as temporary:
            save_file(contiguous, temporary, metadata=metadata)

    @classmethod
    def load(cls, path: Path) -> StoredNeighbours:
        """Read what :meth:`save` wrote, as data only.

        Raises:
            DataNotFoundError: there is no such file.
            DamagedFileError: it is cut short, of another format, or its parts do not fit together.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            if metadata.get("format") != FORMAT:
                raise DamagedFileError(f"{path} was written by another version of moma-app: compose anew.")
            modules, sha256, ids = (
                tuple(map(str, json.loads(metadata[key]))) for key in ("modules", "sha256", "ids")
            )
            stored = cls(metadata["task"], modules, sha256, ids, **arrays)
        except FileNotFoundError as exc:
            raise DataNotFoundError(f"There is no file {path}: compose anew.") from exc
        except (OSError, SafetensorError, InputError, KeyError, TypeError, ValueError) as exc:
            raise DamagedFileError(f"{path} cannot be read ({exc}): compose anew.") from exc
        low, high = stored.indices.min(), stored.indices.max()
        if low < 0 or high >= len(stored.ids) or not np.isfinite(stored.similarities).all():
            raise DamagedFileError(f"{path} names neighbours that are no rows of it: compose anew.")
        return stored
