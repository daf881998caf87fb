"""Rows through matminer: its dataset files, read as plain data, turned into a task's rows.

matminer knows address, checksum and size of each dataset, and reads its file format. Downloads
go through :mod:`moma_app.tasks.downloads`, because matminer's own have neither a time limit
nor a way to resume, and files are read without decoding objects, which is faster and runs no
code that a file names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moma_app.config import get_settings
from moma_app.errors import DamagedFileError, InputError
from moma_app.files import sha256_of_file
from moma_app.progress import Listener, Note, Step, silent
from moma_app.structures import Crystal
from moma_app.tasks.downloads import download
from moma_app.tasks.parsing import StructureError, parse_pymatgen
from moma_app.tasks.rowsource import SourceRows
from moma_app.tasks.specs import RowFilter, Source, TaskSpec
from moma_app.tasks.transforms import get_transform

if TYPE_CHECKING:
    import pandas as pd

_SYMPREC = 0.1
"""Tolerance (Å) of space groups: the value of the Materials Project, which gives its numbers."""


def default_data_home() -> Path:
    """Return where matminer's files are kept: ``MATMINER_DATA``, or a folder under home."""
    given = os.environ.get("MATMINER_DATA")
    return Path(given).expanduser() if given else get_settings().home / "matminer"


class MatminerSource:
    """Reads datasets of matminer, the last ones kept in memory for the next task.

    Args:
        data_home: folder of matminer's dataset files; what is missing is downloaded to it.
        mirror: address of a folder that holds the files, used instead of matminer's addresses.
        check_hash: refuse a file whose SHA-256 is not the one that matminer lists.
        progress: told of downloads and of what is being read.
    """

    def __init__(
        self,
        data_home: Path | None = None,
        *,
        mirror: str | None = None,
        check_hash: bool = True,
        progress: Listener = silent,
    ) -> None:
        self.data_home = data_home or default_data_home()
        self.mirror = mirror
        self.check_hash = check_hash
        self.progress = progress
        self._frames: dict[str, pd.DataFrame] = {}

    def rows(self, spec: TaskSpec) -> SourceRows:
        """Return the rows of a task.

        Raises:
            DataNotFoundError: a dataset cannot be downloaded.
            DamagedFileError: a dataset file has the wrong checksum, form or columns.
        """
        source = spec.source
        assert source is not None
        notes: list[str] = []
        table = self._table(source, notes)
        keep = np.ones(len(table), dtype=bool)
        for condition in source.where:
            keep &= _meets(table, condition)
        table = table[keep]
        if source.derive is None:
            table = self._with_targets(spec, table, notes)
        counted = len(table)
        positions, crystals = self._structures(source, table, notes)
        targets = table["target"].to_numpy(dtype=np.float64)[positions] if source.derive is None else None
        if targets is None:
            targets = _space_groups(crystals, self.progress)
        return SourceRows(
            ids=[table["id"].iloc[i] for i in positions],
            rows=np.array(positions, dtype=np.int32),
            crystals=crystals,
            targets=targets,
            counted=counted,
            origin="matminer " + " + ".join(part.dataset for part in source.parts),
            notes=notes,
        )

    def _table(self, source: Source, notes: list[str]) -> pd.DataFrame:
        """Return the parts one under the other, with the columns id, raw and structure beside the own ones."""
        import pandas as pd

        pieces = []
        for index, part in enumerate(source.parts):
            frame = self.frame(part.dataset)
            if index == 0 and source.rows is not None and len(frame) != source.rows:
                notes.append(f"{part.dataset} has {len(frame):,} rows where matminer lists {source.rows:,}")
            wanted = [*part.columns, *([part.id_column] if part.id_column else [])]
            _check_columns(self.file(part.dataset), frame, wanted)
            piece = frame.copy(deep=False)
            if part.id_column:
                piece["id"] = [_text(value) for value in frame[part.id_column]]
            else:
                first = 1 if part.dataset.startswith("matbench") else 0  # matbench counts entries from one
                piece["id"] = [f"{part.dataset}-{i + first:06d}" for i in range(len(frame))]
            if part.columns:
                numbers = [
                    pd.to_numeric(frame[c], errors="coerce").to_numpy(np.float64) for c in part.columns
                ]
                piece["raw"] = np.mean(numbers, axis=0)
            pieces.append(piece)
        table = pd.concat(pieces, ignore_index=True)
        if len(pieces) > 1:
            known = table[table["id"] != ""]
            table = known.drop_duplicates("id")
        if source.structures_from is not None:
            table = table[table["id"] != ""]
        blank = table["id"] == ""
        if blank.any():
            names = [f"{source.parts[0].dataset}-{i}" for i in np.flatnonzero(blank)]
            table = table.copy(deep=False)
            table.loc[blank, "id"] = names
        return table

    def _with_targets(self, spec: TaskSpec, table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
        """Keep the rows that have a target, and add it after the transform."""
        assert spec.source is not None
        raw = table["raw"].to_numpy(np.float64)
        transform = get_transform(None if spec.source.transformed else spec.transform)
        stated = np.isfinite(raw)
        good = transform.defined(raw)
        undefined = int((stated & ~good).sum())
        if undefined:
            notes.append(
                f"{undefined:,} rows were left out because {transform.formula} is not defined for them"
            )
        table = table[good].copy(deep=False)
        table["target"] = transform.forward(raw[good])
        return table

    def _structures(
        self, source: Source, table: pd.DataFrame, notes: list[str]
    ) -> tuple[list[int], list[Crystal]]:
        """Return the positions in ``table`` that have an ordered structure, and these structures."""
        if source.structures_from is None:
            _check_columns(self.file(source.parts[0].dataset), table, ["structure"])
            raw: list[Any] = table["structure"].tolist()
        else:
            raw = self._joined(source, table)
        positions, crystals = [], []
        missing = 0
        for i, content in enumerate(raw):
            if i % 1000 == 0:
                self.progress(Step(what="reading structures", done=i, total=len(raw), fraction=i / len(raw)))
            if not isinstance(content, dict):
                missing += 1
                continue
            try:
                crystals.append(parse_pymatgen(content).crystal)
            except StructureError as exc:
                notes.append(f"row {i} ({table['id'].iloc[i]}) was left out: {exc}")
                continue
            positions.append(i)
        if missing:
            notes.append(
                f"{missing:,} of {len(raw):,} rows were left out because no structure is known for them"
            )
        return positions, crystals

    def _joined(self, source: Source, table: pd.DataFrame) -> list[Any]:
        part = source.structures_from
        assert part is not None
        assert part.id_column is not None
        frame = self.frame(part.dataset)
        _check_columns(self.file(part.dataset), frame, [part.id_column, *part.columns])
        found = dict(zip(frame[part.id_column], frame[part.columns[0]], strict=True))
        return [found.get(name) for name in table["id"]]

    def file(self, dataset: str) -> Path:
        """Return where the file of a dataset lies, or will lie."""
        from matminer.datasets import get_dataset_attribute

        return self.data_home / f"{dataset}.{get_dataset_attribute(dataset, 'file_type')}"

    def frame(self, dataset: str) -> pd.DataFrame:
        """Return a dataset as a table; structures stay dictionaries."""
        if dataset not in self._frames:
            if len(self._frames) > 1:  # the largest take gigabytes
                self._frames.clear()
            self._frames[dataset] = self._read(dataset)
        return self._frames[dataset]

    def _read(self, dataset: str) -> pd.DataFrame:
        from matminer.datasets import get_dataset_attribute
        from matminer.utils.io import load_dataframe_from_json

        path = self.file(dataset)
        listed = str(get_dataset_attribute(dataset, "hash"))
        if path.exists():
            if self.check_hash and sha256_of_file(path) != listed:
                raise DamagedFileError(
                    f"{path} does not have the SHA-256 that matminer lists: delete it and fetch again."
                )
        else:
            own = str(get_dataset_attribute(dataset, "url"))
            url = own if self.mirror is None else f"{self.mirror.rstrip('/')}/{path.name}"
            download(
                url, path, sha256=listed if self.check_hash else None, what=dataset, progress=self.progress
            )
        self.progress(Note(message=f"reading {path}"))
        try:
            frame = load_dataframe_from_json(str(path), pbar=False, decode=False)
        except (OSError, ValueError, EOFError, TypeError) as exc:
            raise DamagedFileError(
                f"{path} cannot be read as a dataset of matminer: delete it and fetch again."
            ) from exc
        if frame is None:
            raise DamagedFileError(
                f"{path} is no table with data, columns and index: delete it and fetch again."
            )
        result: pd.DataFrame = frame.reset_index(drop=True)
        return result


def _check_columns(path: Path, frame: pd.DataFrame, wanted: list[str]) -> None:
    for name in wanted:
        if name not in frame.columns:
            raise DamagedFileError(f"{path}, column {name}: is missing.")


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _meets(table: pd.DataFrame, condition: RowFilter) -> NDArray[np.bool_]:
    """Say for each row whether it meets a condition; an empty value meets none."""
    import pandas as pd

    column = table[condition.column]
    present = column.notna().to_numpy(dtype=bool)
    if condition.op == "notnull":
        return present
    if condition.op == "==":
        return present & (column == condition.value).to_numpy(dtype=bool)
    if not isinstance(condition.value, (int, float)):
        raise InputError(
            f"The row filter on {condition.column} compares with {condition.value!r}, no number."
        )
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        compared = {
            ">": values > condition.value,
            ">=": values >= condition.value,
            "<": values < condition.value,
            "<=": values <= condition.value,
        }[condition.op]
    return present & compared


def _space_groups(crystals: list[Crystal], progress: Listener) -> NDArray[np.float64]:
    """Return the space group numbers minus one, float64 [n]."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    found = np.empty(len(crystals))
    for i, crystal in enumerate(crystals):
        if i % 200 == 0:
            progress(
                Step(what="finding space groups", done=i, total=len(crystals), fraction=i / len(crystals))
            )
        analyzer = SpacegroupAnalyzer(crystal.to_pymatgen(), symprec=_SYMPREC)
        found[i] = analyzer.get_space_group_number() - 1
    return found
