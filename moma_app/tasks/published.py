"""The published splits of Chang et al. 2022, from the authors' repository rees-c/MoE (MIT)."""

from __future__ import annotations

import json
from pathlib import Path

from moma_app.errors import DamagedFileError
from moma_app.files import atomic_write_text
from moma_app.progress import Listener, Step, silent
from moma_app.tasks.downloads import read_text
from moma_app.tasks.splits import PARTS, check_published
from moma_app.tasks.task import split_file

SPLITS_URL = (
    "https://raw.githubusercontent.com/rees-c/MoE/7a4f7e30dd73796009fcc790a74bd4ccc23dcd90"
    "/data/matminer/saved_partition_indices"
)
"""Folder of the authors' split files, at a fixed commit."""
SEEDS = range(5)


class PublishedSplits:
    """Downloads the five files (one per seed, all tasks in each) once, and writes one file per task.

    Args:
        base_url: address of the folder that holds the authors' files.
        progress: told of each file.
    """

    def __init__(self, base_url: str = SPLITS_URL, *, progress: Listener = silent) -> None:
        self.base_url = base_url.rstrip("/")
        self.progress = progress
        self._by_task: dict[str, list[dict[str, list[int]]]] | None = None

    def write(self, name: str, folder: Path) -> Path | None:
        """Write the splits of task ``name`` to a data folder; None if the authors have none for it.

        Raises:
            DataNotFoundError: the address cannot be reached.
            DamagedFileError: a file is not in the authors' form.
        """
        if self._by_task is None:
            self._by_task = self._download()
        splits = self._by_task.get(name)
        if splits is None:
            return None
        path = split_file(folder, name)
        atomic_write_text(path, json.dumps(splits))
        return path

    def _download(self) -> dict[str, list[dict[str, list[int]]]]:
        by_task: dict[str, list[dict[str, list[int]]]] = {}
        for seed in SEEDS:
            url = f"{self.base_url}/task_partition_indices_seed{seed}_correctedExptEf.json"
            self.progress(
                Step(
                    what="downloading published splits",
                    done=seed,
                    total=len(SEEDS),
                    fraction=seed / len(SEEDS),
                )
            )
            try:
                content = json.loads(read_text(url))
                for name, parts in content.items():
                    by_task.setdefault(name, []).append(dict(zip(PARTS, parts, strict=True)))
            except (ValueError, TypeError, AttributeError) as exc:
                raise DamagedFileError(
                    f"{url} is no file of split indices as the authors wrote them."
                ) from exc
        for name, splits in by_task.items():
            check_published(splits, f"{self.base_url}, task {name}")
        return {name: splits for name, splits in by_task.items() if len(splits) == len(SEEDS)}
