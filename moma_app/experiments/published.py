"""The AMC weights that the MoMa paper's authors published for their JMP modules, five splits.

They are under CC BY-NC 4.0 and so do not come with the package. The file ``moma_weights_jmp.csv``
(columns split, task, module, weight; a module without a line has weight 0) is looked for in every data
folder, the user's first: in its subfolder ``published``, then beside it in ``../reference/published``.
:mod:`moma_app.experiments.fetch_published` gets it from the authors' repository.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from moma_app.config import get_settings
from moma_app.errors import DamagedFileError, DataNotFoundError
from moma_app.experiments.matrix import Values
from moma_app.experiments.statistics import spread

NAME = "moma_weights_jmp.csv"
FOLDER = "published"
COLUMNS = ("split", "task", "module", "weight")
MODULES = (
    "mp_eform",
    "mp_bandgap",
    "n_Seebeck",
    "n_avg_eff_mass",
    "n_th_cond",
    "p_Seebeck",
    "p_avg_eff_mass",
    "p_e_cond",
    "n_e_cond",
    "p_th_cond",
    "mp_gvrh",
    "castelli_eform",
    "jarvis_gvrh",
    "jarvis_bandgap",
    "jarvis_eform",
    "jarvis_kvrh",
    "mp_kvrh",
    "jarvis_dielectric_opt",
)
"""The authors' modules in the order of their numbers; tasks and modules have the names of our catalogue."""
ROUNDING = 1e-4
"""By how much the weights of a task and split may miss a sum of 1."""


@dataclass(frozen=True)
class PublishedWeights:
    """The published weights.

    Attributes:
        weights: by split and task, then by module; modules without weight are left out.
        path: where they were read.
    """

    weights: Mapping[tuple[int, str], Mapping[str, float]]
    path: Path

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that have weights, in the file's order."""
        return tuple(dict.fromkeys(task for _, task in self.weights))

    @property
    def modules(self) -> tuple[str, ...]:
        """The authors' modules; one without a weight has weight 0."""
        return MODULES

    @cached_property
    def splits(self) -> tuple[int, ...]:
        """Splits that have weights, ascending."""
        return tuple(sorted({split for split, _ in self.weights}))

    def of(self, task: str, module: str, splits: Sequence[int]) -> list[float]:
        """Return a module's weights for a task on those of the splits that were published."""
        return [
            self.weights[split, task].get(module, 0.0) for split in splits if (split, task) in self.weights
        ]

    def means(self, tasks: Sequence[str], modules: Sequence[str], splits: Sequence[int]) -> Values:
        """Return mean weights [n_tasks][n_modules]; ``None`` for what was not published."""
        return [[self._mean(task, module, splits) for module in modules] for task in tasks]

    def stds(self, tasks: Sequence[str], modules: Sequence[str], splits: Sequence[int]) -> Values:
        """Return sample standard deviations over the splits [n_tasks][n_modules]."""
        return [[self._std(task, module, splits) for module in modules] for task in tasks]

    def _mean(self, task: str, module: str, splits: Sequence[int]) -> float | None:
        values = spread(self.of(task, module, splits)) if module in MODULES else None
        return None if values is None else values.mean

    def _std(self, task: str, module: str, splits: Sequence[int]) -> float | None:
        values = spread(self.of(task, module, splits)) if module in MODULES else None
        return None if values is None else values.std


def published_file() -> Path | None:
    """Return the first file of published weights on the search path, or ``None``."""
    for folder in get_settings().data_folders:
        for place in (folder / FOLDER / NAME, folder.parent / "reference" / FOLDER / NAME):
            if place.is_file():
                return place
    return None


def published_weights() -> PublishedWeights:
    """Return the published weights from the search path.

    Raises:
        DataNotFoundError: they are not there; says how to get them.
        DamagedFileError: the file is not in order; names the line.
    """
    path = published_file()
    if path is None:
        raise DataNotFoundError(
            "The published weights are not on this machine: run `moma insights fetch-published` with internet, or copy "
            f"{NAME} to {get_settings().cache_folder / FOLDER}."
        )
    state = path.stat()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, *_state: int) -> PublishedWeights:
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as exc:
        raise DamagedFileError(f"{path} cannot be read ({exc}): fetch it again.") from exc


def parse(text: str, path: Path) -> PublishedWeights:
    """Read the table of published weights.

    Args:
        text: the CSV.
        path: where it is from, for messages.

    Raises:
        DamagedFileError: it is not in order; names the line.
    """
    reader = csv.reader(io.StringIO(text))
    if tuple(next(reader, ())) != COLUMNS:
        raise DamagedFileError(f"{path} does not have the columns {', '.join(COLUMNS)}: fetch it again.")
    weights: dict[tuple[int, str], dict[str, float]] = {}
    for line, values in enumerate(reader, start=2):
        try:
            split, task, module, weight = _line(values)
        except ValueError:
            raise DamagedFileError(f"{path}, line {line}: {','.join(values)!r} is no weight.") from None
        of_task = weights.setdefault((split, task), {})
        if module in of_task:
            raise DamagedFileError(f"{path}, line {line}: {module} has a weight for {task} already.")
        of_task[module] = weight
    for (split, task), of_task in weights.items():
        if not math.isclose(sum(of_task.values()), 1.0, abs_tol=ROUNDING):
            raise DamagedFileError(f"{path}: the weights of {task} on split {split} do not add up to 1.")
    return PublishedWeights(weights, path)


def _line(values: Sequence[str]) -> tuple[int, str, str, float]:
    split, task, module, weight = values
    if module not in MODULES or not 0 <= float(weight) <= 1:
        raise ValueError(module)
    return int(split), task, module, float(weight)
