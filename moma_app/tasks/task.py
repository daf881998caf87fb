"""A task and where its data is found: the user's data folders, then the cache, then the package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moma_app.config import get_settings
from moma_app.errors import DamagedFileError, DataNotFoundError, InputError, UnknownNameError
from moma_app.progress import Listener, Note, Warned, silent
from moma_app.tasks import embedded, store
from moma_app.tasks.catalogue import catalogue
from moma_app.tasks.data import TaskData
from moma_app.tasks.specs import Kind, TaskSpec, is_safe_name
from moma_app.tasks.splits import Split, published_split, random_split, read_published
from moma_app.text import brief, shorten, with_unit

if TYPE_CHECKING:
    import pandas as pd


def task_file(folder: Path, name: str) -> Path:
    """Return where the data of task ``name`` lies in a data folder."""
    return folder / "tasks" / f"{name}.parquet"


def split_file(folder: Path, name: str) -> Path:
    """Return where the published or own splits of task ``name`` lie in a data folder."""
    return folder / "splits" / f"{name}.json"


@dataclass(frozen=True)
class Task:
    """A named task; its data is read when asked for, and not kept.

    Attributes:
        spec: what the task is. For a stored task ``load().spec`` has the file's own unit and
            transform, should they differ from the catalogue's.
    """

    spec: TaskSpec

    def __repr__(self) -> str:
        spec = self.spec
        unit = spec.unit if spec.kind == "regression" else "classes"
        return brief(self, f"{shorten(spec.name, 50)}: {with_unit(spec.property, unit)}, {spec.role}")

    def _repr_html_(self) -> str:
        from moma_app.tasks.display import task_html

        return task_html(self)

    @classmethod
    def from_structures(
        cls,
        structures: Iterable[Any],
        targets: Iterable[Any],
        *,
        name: str,
        unit: str,
        property: str | None = None,  # noqa: A002 - what materials scientists call it
        ids: Iterable[Any] | None = None,
        parts: Iterable[str] | None = None,
        transform: str | None = None,
        kind: Kind = "regression",
        extensive: bool = False,
        strict: bool = True,
        overwrite: bool = False,
        progress: Listener = silent,
    ) -> Task:
        """Make a task of structures and numbers, for example 60 CIF files and a column of a data frame.

        It is stored in the cache as an import is, so that it is there tomorrow, and so that workers find it.
        The same rows may be given again; other rows under a name that is taken need ``overwrite=True``.

        Args:
            structures: pymatgen or ASE objects, ``Crystal``, paths of CIF or POSCAR files, or their text.
            targets: a number for each, or for classes a word or a whole number.
            name: the task's name.
            unit: of the targets as they are given, before the transform.
            property, ids, parts, transform, kind, extensive, overwrite, progress: see
                :func:`moma_app.tasks.from_python.import_structures`, which returns the report on all rows.
            strict: a row that cannot be used is an error; else it is left out, and ``progress`` is told.

        Raises:
            ImportRefusedError: a row cannot be used; the message names it (rows count from 1).
            InputError: there are not as many targets as structures, or the name is taken or not usable.
        """
        from moma_app.tasks.from_python import import_structures

        report = import_structures(
            structures,
            targets,
            name=name,
            unit=unit,
            property=property,
            ids=ids,
            parts=parts,
            transform=transform,
            kind=kind,
            extensive=extensive,
            strict=strict,
            overwrite=overwrite,
            progress=progress,
        )
        assert report.task is not None, "an import that is no rehearsal writes a task, or raises"
        return report.task

    def to_dataframe(self) -> pd.DataFrame:
        """Read all rows, and return them as :meth:`moma_app.tasks.data.TaskData.to_dataframe` does; raises as :meth:`load`."""
        return self.load().to_dataframe()

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.spec.name

    @property
    def path(self) -> Path | None:
        """The file that holds the data: the first on the search path, or None."""
        found = _find_folder(self.name)
        return None if found is None else task_file(found, self.name)

    def files(self) -> dict[str, Path]:
        """Return the files that ``load`` and ``split`` read, by their place in a data folder."""
        folder = _find_folder(self.name)
        if folder is None:
            return {}
        found = {f"tasks/{self.name}.parquet": task_file(folder, self.name)}
        if (splits := self._split_file(folder)) is not None:
            found[f"splits/{self.name}.json"] = splits
        return found

    @property
    def available(self) -> bool:
        """Whether ``load`` would find data."""
        return self.name == embedded.NAME or self.path is not None

    def load(self, progress: Listener = silent) -> TaskData:
        """Read all rows.

        Raises:
            DataNotFoundError: the data is on none of the search paths; says how to get it.
            DamagedFileError: the file breaks the format.
        """
        path = self.path
        if path is not None:
            data = store.read_task(path)
            progress(Note(message=f"{self.name}: {len(data)} rows from {path}"))
            return data
        if self.name == embedded.NAME:
            return embedded.elemental_bulk_modulus()
        raise DataNotFoundError(self._how_to_get())

    def _how_to_get(self) -> str:
        searched = " or ".join(str(folder) for folder in get_settings().data_folders)
        source = self.spec.source
        get = f"run `moma tasks fetch {self.name}` with internet, or "
        if source is None or source.provider == "files":
            get = ""
        return (
            f"The data of {self.name} is not in {searched}: {get}set MOMA_DATA to a folder "
            f"that holds tasks/{self.name}.parquet."
        )

    def split(self, seed: int) -> Split:
        """Return the split of ``seed``: positions into the rows that ``load`` gives.

        A published split is used where there is one for the seed and the stored rows are the
        authors' rows; ``Split.origin`` says so. A user's task may have a split of its own (see
        ``own_splits``). Otherwise rows are split at random, see ``random_split``. A split file
        beside the data comes first; for the tasks that Chang et al. cover, other data folders are
        searched too.

        Raises:
            InputError: too few rows, a negative seed, one that the user's own split lacks, or
                published rows missing in the data.
            DataNotFoundError: there is no data.
            DamagedFileError: data or split file cannot be used.
        """
        folder = _find_folder(self.name)
        if folder is None:
            return random_split(len(self.load()), seed)
        path = task_file(folder, self.name)
        rows = store.read_rows(path)
        splits = self._split_file(folder)
        if splits is not None and store.read_metadata(path).get("row_order") != "own":
            known = self.name in catalogue()
            published = read_published(splits)
            if 0 <= seed < len(published):
                origin: Literal["published", "own"] = "published" if known else "own"
                return published_split(published, rows, seed, str(path), origin=origin)
            if not known:  # a random split would mix the rows that the user keeps apart
                raise InputError(
                    f"{self.name} has a split of its own for the seeds 0 to {len(published) - 1}, not for {seed}."
                )
        return random_split(len(rows), seed)

    def _split_file(self, folder: Path) -> Path | None:
        others = get_settings().data_folders if self.spec.published_split else ()
        candidates = (split_file(place, self.name) for place in (folder, *others))
        return next((path for path in candidates if path.is_file()), None)


def get_task(name: str) -> Task:
    """Return the task called ``name``: of the catalogue, or a user's on the search path.

    Raises:
        UnknownNameError: there is no such task; the message lists what is close.
        DamagedFileError: a user's task of that name cannot be read.
    """
    known = catalogue()
    if name in known:
        return Task(known[name])
    folder = _find_folder(name) if is_safe_name(name) else None
    if folder is None:
        hint = "`moma tasks list` shows all; `moma tasks import` adds your own."
        raise UnknownNameError("task", name, {*known, *_user_files()}, hint)
    return Task(_stored_spec(task_file(folder, name)))


def task_names() -> list[str]:
    """Return the names of all tasks, those of the catalogue and the user's, sorted; no file is opened."""
    return sorted({*catalogue(), *_user_files()})


def list_tasks(progress: Listener = silent) -> list[Task]:
    """Return the catalogue's tasks in its order, then the user's own by name.

    A user's file that cannot be read is left out with a ``Warned`` event.
    """
    tasks = [Task(spec) for spec in catalogue().values()]
    for _, path in sorted(_user_files().items()):
        try:
            tasks.append(Task(_stored_spec(path)))
        except DamagedFileError as exc:
            progress(Warned(message=str(exc)))
    return tasks


def _stored_spec(path: Path) -> TaskSpec:
    """Return the spec of a user's task file; the file's name is the task's name."""
    spec = store.read_spec(path)
    return spec if spec.name == path.stem else spec.model_copy(update={"name": path.stem})


def _find_folder(name: str) -> Path | None:
    """Return the first data folder that holds task ``name``, or None."""
    return next((f for f in get_settings().data_folders if task_file(f, name).is_file()), None)


def _user_files() -> dict[str, Path]:
    """Return the first file on the search path of each task that the catalogue lacks."""
    known = catalogue()
    found: dict[str, Path] = {}
    for path in _parquet_files():
        if path.stem not in known and is_safe_name(path.stem):
            found.setdefault(path.stem, path)
    return found


def _parquet_files() -> Iterator[Path]:
    for folder in get_settings().data_folders:
        if (folder / "tasks").is_dir():
            yield from sorted((folder / "tasks").glob("*.parquet"))
