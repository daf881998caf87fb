"""The card of a module: what it is, where it came from, how good it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from moma_app.choices import Layers, Storage
from moma_app.errors import DamagedFileError
from moma_app.text import brief, one_line, shorten, with_unit_after

if TYPE_CHECKING:
    import pandas as pd

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
FILE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,149}")
"""A tensor file's name is the module's name and 25 characters."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Strict):
    """The property that a module was trained to predict."""

    task: str = Field(description="Name of the task in the catalogue, or the user's.")
    property: str = Field(description="The property in words.")
    unit: str = Field(description="Unit of the target after the transform.")
    transform: str | None = Field(default=None, description="Transform applied to the raw property.")
    kind: Literal["regression", "classification"] = "regression"
    n_classes: int | None = None
    extensive: bool = Field(default=False, description="The property grows with the number of atoms.")


class Data(_Strict):
    """What the module was trained on: counts and aggregates only, never rows.

    Of a module that somebody else trained, the numbers of rows may be unknown (``None``), and the hash
    is then empty.
    """

    source: str = Field(description="Dataset the rows come from.")
    rows_train: int | None = None
    rows_val: int | None = None
    rows_test: int | None = None
    rows_published: int | None = Field(default=None, description="Size of the full published set.")
    max_atoms: int | None = Field(default=None, description="Larger training cells were left out.")
    excluded_tasks: tuple[str, ...] = Field(
        default=(), description="Tasks whose structures were left out of training and validation."
    )
    rows_excluded: int = Field(default=0, description="How many rows that were.")
    rows_refused: int = Field(
        default=0, description="Rows of all parts left out because the backbone cannot make graphs of them."
    )
    split_seed: int = 0
    hash: str = Field(description="SHA-256 of ids, structures and targets.")

    @property
    def left_out(self) -> str:
        """Which rows were not used, and why; empty if all were."""
        said = []
        if self.excluded_tasks:
            others = f"{len(self.excluded_tasks)} other task{'s' if len(self.excluded_tasks) > 1 else ''}"
            said.append(f"{self.rows_excluded:,} rows, whose structures occur in {others}")
        if self.rows_refused:
            said.append(f"{self.rows_refused:,} rows, of which the backbone cannot make graphs")
        return "; ".join(said)


class Metrics(_Strict):
    """Errors on the test rows, and of the validation rows ``val_error``, in the task's unit."""

    test_mae: float | None = None
    test_mad: float | None = Field(
        default=None, description="Mean absolute deviation of the test targets from the training mean."
    )
    test_r2: float | None = None
    test_accuracy: float | None = None
    test_macro_f1: float | None = None
    val_error: float | None = None

    @property
    def mae_over_mad(self) -> float | None:
        """Test MAE in units of the mean absolute deviation: 1 is no better than the mean."""
        if self.test_mae is None or not self.test_mad:
            return None
        return self.test_mae / self.test_mad


class EpochRecord(_Strict):
    """One point of the learning curve."""

    epoch: int
    train_error: float
    val_error: float
    learning_rate: float


class Hardware(_Strict):
    """What the module was trained on and what that took."""

    device: str
    seconds: float
    peak_memory_mb: float | None = None
    energy_wh: float | None = Field(default=None, description="Energy, where the machine has a counter.")
    trainable_parameters: int
    total_parameters: int


SCRATCH = "scratch"
"""Name of the reference that is the same network from random weights."""


class Reference(_Strict):
    """What another model gets on the same test rows, to compare the module with."""

    name: str = Field(description="Which model: scratch is the same network from random weights.")
    mae: float | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    seconds: float | None = None


class HeadInfo(_Strict):
    """How to rebuild the module's own head, and the scale of its target."""

    config: dict[str, Any]
    mean: float
    std: float


class Card(_Strict):
    """Everything about a module but its tensors. Serialises to JSON."""

    format: Literal[1] = 1
    name: Annotated[str, Field(description="Name in the hub; letters, digits, '_', '-' and '.'.")]
    version: str = "1.0.0"
    backbone: str
    fingerprint: str = Field(
        description="Identity of the pre-trained weights the module started from; empty if it started from an "
        "initialisation of its own, so that it cannot be averaged with any other."
    )
    kind: Literal["full", "adapter"]
    layers: Layers
    storage: Storage = Field(
        default="float32", description="Type of the matrices on disk; vectors are in float32 always."
    )
    target: Target
    data: Data
    metrics: Metrics = Metrics()
    references: tuple[Reference, ...] = Field(default=(), description="Other models on the same rows.")
    curve: tuple[EpochRecord, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)
    head: HeadInfo | None = None
    seed: int = 0
    hardware: Hardware | None = None
    licence: str = "MIT"
    citation: str = ""
    note: str = ""
    created: str = Field(description="Time of training, ISO 8601, UTC.")
    made_with: str = Field(description="Version of moma-app.")
    file: str = Field(default="", description="Name of the tensor file beside the card.")
    sha256: str = Field(default="", description="SHA-256 of the tensor file.")
    size: int = Field(default=0, description="Size of the tensor file in bytes.")

    def __repr__(self) -> str:
        return brief(self, _in_words(self))

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from moma_app.hub.display import card_html

        return card_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return the learning curve: ``epoch``, ``train_error``, ``val_error``, ``learning_rate``.

        The frame's ``attrs`` have ``module``, ``property`` and ``unit`` of the errors (none of log losses).
        """
        import pandas as pd

        target = self.target
        table = pd.DataFrame([dict(point) for point in self.curve], columns=list(EpochRecord.model_fields))
        unit = "" if target.kind == "classification" else target.unit
        table.attrs = {"module": self.name, "property": target.property, "unit": unit}
        return table

    @property
    def independent(self) -> bool:
        """The module shares its initialisation with no other."""
        return not self.fingerprint

    @field_validator("name")
    @classmethod
    def _safe_name(cls, value: str) -> str:
        if not NAME_PATTERN.fullmatch(value):
            raise ValueError("a module's name has letters, digits, '_', '-' and '.' only, 100 at most")
        return value

    @field_validator("file")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        if value and (not FILE_PATTERN.fullmatch(value) or ".." in value):
            raise ValueError("the tensor file must lie beside the card")
        return value

    @model_validator(mode="after")
    def _an_adapter_needs_its_backbone(self) -> Self:
        if self.kind == "adapter" and self.independent:
            raise ValueError(
                "an adapter works only with the weights it was trained in: name their fingerprint"
            )
        return self


def read_card(path: Path) -> Card:
    """Read a card from its file.

    Raises:
        DamagedFileError: as :func:`parse_card`, or the file cannot be read as UTF-8 text.
    """
    try:
        return parse_card(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as exc:
        raise DamagedFileError(f"The card {path} cannot be read ({exc}).") from exc


def parse_card(text: str, where: str) -> Card:
    """Read a card from JSON.

    Args:
        text: the JSON text.
        where: path or address, named in the error.

    Raises:
        DamagedFileError: not JSON, an unknown or missing field, or a value of the wrong type.
    """
    try:
        return Card.model_validate_json(text)
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise DamagedFileError(f"The card {where} cannot be read: {field}: {first['msg']}.") from exc


def module_name(task: str, kind: str) -> str:
    """Return the usual name of a task's module."""
    return task if kind == "full" else f"{task}-{kind}"


def _in_words(card: Card) -> str:
    target, mae = card.target, card.metrics.test_mae
    error = "" if mae is None else f", test MAE {with_unit_after(mae, target.unit)}"
    what = one_line(target.property, 60)
    return f"{shorten(card.name, 60)}: {what}, {card.kind}, {card.backbone}{error}"


def summary_of(card: Card) -> dict[str, Any]:
    """Return what a list of modules says of each, ready for JSON."""
    return {
        "name": card.name,
        "version": card.version,
        "kind": card.kind,
        "backbone": card.backbone,
        "task": card.target.task,
        "property": card.target.property,
        "unit": card.target.unit,
        "rows_train": card.data.rows_train,
        "test_mae": card.metrics.test_mae,
        "val_error": card.metrics.val_error,
        "mae_over_mad": card.metrics.mae_over_mad,
        "storage": card.storage,
        "size": card.size,
        "sha256": card.sha256,
    }
