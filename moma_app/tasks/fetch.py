"""Fill the cache: the data of catalogue tasks from their sources, and the published splits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from moma_app.config import get_settings
from moma_app.errors import DataNotFoundError, InputError, MomaError
from moma_app.progress import Listener, Note, Warned, silent
from moma_app.structures import StructureSet
from moma_app.tasks import store
from moma_app.tasks.catalogue import catalogue, get_spec
from moma_app.tasks.data import TaskData
from moma_app.tasks.matminer_source import MatminerSource
from moma_app.tasks.published import SPLITS_URL, PublishedSplits
from moma_app.tasks.qm9_source import Qm9Source
from moma_app.tasks.rowsource import SourceRows
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.task import Task, split_file, task_file

Status = Literal["written", "present", "unavailable", "failed"]


@dataclass(frozen=True)
class FetchReport:
    """What came of fetching one task.

    Attributes:
        task: the task's name.
        status: ``written`` to the cache, ``present`` before, ``unavailable`` (no download
            exists), or ``failed`` (the notes say why).
        rows: rows that are there now.
        published_rows: rows that the papers used, where known.
        path: the data file; None if there is none.
        splits: ``published`` if the published splits are there and fit, ``random`` otherwise.
        notes: what differs from the published data, and what was left out.
        seconds: time taken.
    """

    task: str
    status: Status
    rows: int | None = None
    published_rows: int | None = None
    path: str | None = None
    splits: Literal["published", "random"] = "random"
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return asdict(self)


def fetch(
    names: str | Iterable[str] | None = None,
    progress: Listener = silent,
    *,
    force: bool = False,
    data_home: Path | None = None,
    mirror: str | None = None,
    check_hash: bool = True,
    splits_url: str = SPLITS_URL,
) -> list[FetchReport]:
    """Fetch tasks into the cache; what is on the search path already is left as it is.

    Args:
        names: tasks of the catalogue, or one; None means all, and then the failure of one is put in
            its report and the next one is tried. Otherwise the first failure is raised; tasks
            finished before stay, so that the same call goes on where it stopped.
        progress: told of downloads, and with ``Warned`` of what differs.
        force: fetch again into the cache what is present.
        data_home: folder of the source datasets' files (default: ``MATMINER_DATA``, or under
            the settings' home).
        mirror: address of a folder with matminer's files, instead of matminer's own addresses.
        check_hash: refuse dataset files whose SHA-256 is not the one that matminer lists.
        splits_url: address of the folder with the authors' split files.

    Returns:
        One report per task, in the order of ``names``.

    Raises:
        UnknownNameError: a name is not in the catalogue (before anything is fetched).
        DataNotFoundError: an address cannot be reached, or a named task has no download.
        DamagedFileError: a file is not what it should be.
        MissingDependencyError: QM9 without torch_geometric.
    """
    names = [names] if isinstance(names, str) else names
    specs = list(catalogue().values()) if names is None else [get_spec(name) for name in names]
    fetcher = _Fetcher(
        matminer=MatminerSource(data_home, mirror=mirror, check_hash=check_hash, progress=progress),
        qm9=Qm9Source(data_home / "qm9" if data_home else None, progress=progress),
        splits=PublishedSplits(splits_url, progress=progress),
        progress=progress,
        force=force,
    )
    reports: dict[str, FetchReport] = {}
    for spec in _by_dataset(specs):
        start = time.perf_counter()
        try:
            report = fetcher.fetch(spec, start)
        except MomaError as exc:
            if names is not None:
                raise
            report = FetchReport(spec.name, "failed", notes=(str(exc),), seconds=time.perf_counter() - start)
        if report.status == "unavailable" and names is not None:
            raise DataNotFoundError(f"{spec.name} cannot be fetched: {report.notes[0]}.")
        for note in report.notes:
            progress(Warned(message=f"{spec.name}: {note}"))
        reports[spec.name] = report
    return [reports[spec.name] for spec in specs]


def _by_dataset(specs: Sequence[TaskSpec]) -> list[TaskSpec]:
    """Order tasks so that those of one dataset follow each other and it is read once."""

    def first(spec: TaskSpec) -> str:
        return spec.source.parts[0].dataset if spec.source and spec.source.parts else ""

    seen = list(dict.fromkeys(first(spec) for spec in specs))
    return sorted(specs, key=lambda spec: seen.index(first(spec)))


@dataclass(frozen=True)
class _Fetcher:
    matminer: MatminerSource
    qm9: Qm9Source
    splits: PublishedSplits
    progress: Listener
    force: bool

    def fetch(self, spec: TaskSpec, start: float) -> FetchReport:
        task = Task(spec)
        source = spec.source
        notes: list[str] = []
        status: Status = "present"
        path = task.path
        if source is not None and source.provider == "ase":
            return FetchReport(spec.name, "present", spec.published_rows, spec.published_rows)
        if path is None or self.force:
            if source is None or source.provider == "files":
                if path is None:
                    return FetchReport(
                        spec.name, "unavailable", notes=("it comes with a data folder (MOMA_DATA)",)
                    )
            else:
                path = self._write(spec, notes)
                status = "written"
        assert path is not None
        meta = store.read_metadata(path)
        return FetchReport(
            task=spec.name,
            status=status,
            rows=len(store.read_rows(path)),
            published_rows=spec.published_rows,
            path=str(path),
            splits=self._splits(spec, path, fits=meta.get("row_order") != "own"),
            notes=tuple(notes),
            seconds=time.perf_counter() - start,
        )

    def _write(self, spec: TaskSpec, notes: list[str]) -> Path:
        assert spec.source is not None
        self.progress(Note(message=f"fetching {spec.name}"))
        found = self.qm9.rows(spec) if spec.source.provider == "torch_geometric" else self.matminer.rows(spec)
        if not found.ids:
            raise InputError(
                f"{spec.name}: not one row of {found.origin} is usable ({'; '.join(found.notes[:3])})."
            )
        notes += _shortened(found.notes)
        own_order = _compare(spec, found, notes)
        data = TaskData(
            spec=spec,
            ids=found.ids,
            rows=found.rows,
            structures=StructureSet.from_any(found.crystals),
            targets=found.targets,
            metadata={"origin": found.origin, "row_order": "own" if own_order else "published"},
        )
        path = task_file(get_settings().cache_folder, spec.name)
        store.write_task(path, data)
        return path

    def _splits(self, spec: TaskSpec, path: Path, *, fits: bool) -> Literal["published", "random"]:
        """Make sure that the published splits are there, if rows are in the authors' order."""
        if not (spec.published_split and fits):
            return "random"
        folders = (path.parents[1], *get_settings().data_folders)
        if not self.force and any(split_file(folder, spec.name).is_file() for folder in folders):
            return "published"
        written = self.splits.write(spec.name, get_settings().cache_folder)
        return "random" if written is None else "published"


def _compare(spec: TaskSpec, found: SourceRows, notes: list[str]) -> bool:
    """Note how the rows differ from the published ones; say whether published splits do not fit."""
    assert spec.source is not None
    if spec.published_rows is not None and found.counted != spec.published_rows:
        notes.append(f"{found.counted:,} rows where {spec.published_rows:,} are published")
    own_order = spec.source.own_order or found.counted != spec.published_rows
    if own_order and spec.published_split:
        notes.append("the published splits refer to other rows, so that this data is split at random")
    return own_order


def _shortened(notes: Sequence[str], most: int = 20) -> list[str]:
    rest = len(notes) - most
    return list(notes) if rest <= 0 else [*notes[:most], f"and {rest:,} more rows of this kind"]
