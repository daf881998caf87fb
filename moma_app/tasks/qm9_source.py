"""Rows of QM9 through torch_geometric's dataset."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from moma_app.config import get_settings
from moma_app.errors import DamagedFileError, DataNotFoundError, MissingDependencyError
from moma_app.progress import Listener, Step, silent
from moma_app.structures import Crystal
from moma_app.tasks.rowsource import SourceRows
from moma_app.tasks.specs import TaskSpec
from moma_app.tasks.transforms import get_transform


class Qm9Source:
    """Reads QM9 once and gives the rows of any of its tasks.

    Args:
        data_home: folder of torch_geometric's files; what is missing is downloaded to it.
        progress: told of the molecules read.
    """

    def __init__(self, data_home: Path | None = None, *, progress: Listener = silent) -> None:
        self.data_home = data_home or get_settings().home / "qm9"
        self.progress = progress
        self._loaded: tuple[list[str], list[Crystal], np.ndarray[Any, np.dtype[np.float64]]] | None = None

    def rows(self, spec: TaskSpec) -> SourceRows:
        """Return the rows of a QM9 task.

        Raises:
            MissingDependencyError: torch_geometric is not installed.
            DataNotFoundError: the dataset cannot be downloaded.
            DamagedFileError: the dataset's files cannot be read.
        """
        assert spec.source is not None
        if self._loaded is None:
            self._loaded = self._load()
        ids, crystals, values = self._loaded
        column = int(spec.source.parts[0].columns[0])
        return SourceRows(
            ids=list(ids),
            rows=np.arange(len(ids), dtype=np.int32),
            crystals=crystals,
            targets=get_transform(spec.transform).forward(values[:, column]),
            counted=len(ids),
            origin="QM9 through torch_geometric",
        )

    def _load(self) -> tuple[list[str], list[Crystal], np.ndarray[Any, np.dtype[np.float64]]]:
        try:
            from torch_geometric.datasets import QM9
        except ImportError as exc:
            raise MissingDependencyError(
                "QM9 needs torch_geometric: install it with `pip install 'moma-app[molecules]'`."
            ) from exc
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                dataset = QM9(str(self.data_home))
        except OSError as exc:
            raise DataNotFoundError(
                f"{QM9.processed_url} cannot be reached ({str(exc).rstrip('.')}): check the connection and try again."
            ) from exc
        except Exception as exc:
            raise DamagedFileError(
                f"The files of QM9 in {self.data_home} cannot be read: delete them, fetch again."
            ) from exc
        ids: list[str] = []
        crystals: list[Crystal] = []
        values = np.empty((len(dataset), 12))
        for i in range(len(dataset)):
            if i % 2000 == 0:
                self.progress(
                    Step(what="reading molecules", done=i, total=len(dataset), fraction=i / len(dataset))
                )
            molecule = dataset[i]
            ids.append(str(molecule.name))
            crystals.append(
                Crystal.in_vacuum(
                    molecule.z.numpy().astype(np.int16), molecule.pos.numpy().astype(np.float64)
                )
            )
            values[i] = molecule.y.numpy()[0, :12]
        return ids, crystals, values
