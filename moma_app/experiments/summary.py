"""What a table needs of a finished composition, without the predictions: a few hundred bytes for each module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from moma_app.amc.result import AMCResult
from moma_app.errors import DamagedFileError
from moma_app.jobs.spec import RunSpec


@dataclass(frozen=True)
class Part:
    """One module's part in a composition; see :class:`moma_app.amc.result.ModuleScore`."""

    module: str
    trained_on: str
    weight: float
    proxy_mae: float
    proxy_mae_standardised: float
    sha256: str


@dataclass(frozen=True)
class Summary:
    """A finished composition.

    Attributes:
        run: id of the run that made it.
        task, unit, split, shots, k, temperature, kind, weighting, backbone, objective: as in ``AMCResult``.
        parts: of the modules that took part.
        skipped: names of those that were left out.
        files: SHA-256 of the task's files, by their place in a data folder.
    """

    run: str
    task: str
    unit: str
    split: int
    shots: int | None
    k: int
    temperature: float
    kind: str
    weighting: str
    backbone: str
    objective: float
    parts: tuple[Part, ...]
    skipped: tuple[str, ...]
    files: Mapping[str, str]

    @classmethod
    def of(cls, run: str, result: AMCResult, spec: RunSpec | None = None) -> Self:
        """Take what is needed from a composition and the run that made it; one made here has neither id nor files."""
        files = {} if spec is None else spec.files
        return cls(
            run=run,
            task=result.task,
            unit=result.unit,
            split=result.split,
            shots=result.shots,
            k=result.k,
            temperature=result.temperature,
            kind=result.kind,
            weighting=result.weighting,
            backbone=result.backbone,
            objective=result.objective,
            parts=tuple(
                Part(
                    score.module,
                    score.task,
                    score.weight,
                    score.proxy_mae,
                    score.proxy_mae_standardised,
                    score.sha256,
                )
                for score in result.modules
            ),
            skipped=tuple(sorted(result.skipped)),
            files={place: blob.sha256 for place, blob in files.items() if not place.startswith("hub/")},
        )

    def to_json(self) -> str:
        """Serialise; :meth:`from_json` gives an equal object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DamagedFileError: it is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            parts = tuple(Part(**part) for part in values.pop("parts"))
            return cls(**{**values, "skipped": tuple(values["skipped"])}, parts=parts)
        except (ValueError, TypeError, KeyError) as exc:
            raise DamagedFileError(f"A kept summary of a composition cannot be read: {exc}.") from exc
