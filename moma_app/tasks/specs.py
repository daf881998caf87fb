"""What is known of a task before any of its data is read: ``TaskSpec`` and its parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moma_app.errors import InputError
from moma_app.tasks.transforms import get_transform

Role = Literal["upstream", "downstream", "multi-data", "demo", "user"]
Kind = Literal["regression", "classification"]
Family = Literal[
    "electronic",
    "thermal",
    "mechanical",
    "thermodynamic",
    "dielectric",
    "transport",
    "structural",
    "vibrational",
    "other",
]

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def is_safe_name(name: str) -> bool:
    """Say whether ``name`` can be a task's name, and so part of a file's name.

    Letters, digits, ``_`` and ``-`` only, a letter or digit first, at most 100 of them.
    """
    return _SAFE_NAME.fullmatch(name) is not None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RowFilter(_Frozen):
    """A condition that a row of the source dataset must meet to belong to the task."""

    column: str
    op: Literal["notnull", ">", ">=", "<", "<=", "=="] = "notnull"
    value: float | str | None = None


class Part(_Frozen):
    """One table of a source: the dataset and the columns that are read from it."""

    dataset: str
    columns: tuple[str, ...] = Field(description="Target columns; several are averaged.")
    id_column: str | None = None


class Source(_Frozen):
    """Where a task's rows come from, and how a target is made of them.

    ``provider`` is ``matminer``, ``torch_geometric``, ``ase`` (embedded) or ``files``: the last
    has no download, its data comes with a data folder or an import.
    """

    provider: Literal["matminer", "torch_geometric", "ase", "files"]
    parts: tuple[Part, ...] = ()
    structures_from: Part | None = Field(
        default=None, description="Dataset that gives the structures, joined by its id column."
    )
    where: tuple[RowFilter, ...] = ()
    derive: Literal["spacegroup"] | None = Field(
        default=None, description="Target computed from the structure instead of read."
    )
    transformed: bool = Field(default=False, description="The column already holds transformed values.")
    rows: int | None = Field(default=None, description="Rows of the (first) source dataset, before filters.")
    own_order: bool = Field(
        default=False, description="Our rows are not in the authors' order, so their splits do not fit."
    )


class TaskSpec(_Frozen):
    """One property prediction task.

    Attributes:
        name: name used everywhere; safe as part of a file name.
        role: what the task is for.
        kind: regression or classification.
        property: the property in words.
        unit: unit of the target *after* the transform, as stored.
        transform: name of the transform that made the target, see ``transforms``.
        n_classes: number of classes (classification only).
        classes: names of the classes in order of their index; empty where they have none.
        extensive: the property grows with the number of atoms (sum pooling, not mean).
        family: physical family, used to judge which modules should help.
        source: where the rows come from; None for a user's task.
        citation: original paper(s) of the data.
        published_rows: rows that the papers used; None where that is not known.
        published_split: the split indices published by Chang et al. cover this task.
        note: what else a user should know.
    """

    name: str
    role: Role
    kind: Kind = "regression"
    property: str
    unit: str = ""
    transform: str | None = None
    n_classes: int | None = Field(default=None, ge=2)
    classes: tuple[str, ...] = ()
    extensive: bool = False
    family: Family = "other"
    source: Source | None = None
    citation: str = ""
    published_rows: int | None = None
    published_split: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _check(self) -> TaskSpec:
        if not is_safe_name(self.name):
            raise ValueError(f"task name {self.name!r}: use letters, digits, _ and -")
        if self.kind == "classification" and self.n_classes is None:
            raise ValueError("a classification task states n_classes")
        if self.kind == "classification" and self.transform is not None:
            raise ValueError("classes take no transform")
        if self.kind == "regression" and (self.n_classes or self.classes):
            raise ValueError("a regression task has no classes")
        if self.classes and len(self.classes) != self.n_classes:
            raise ValueError(f"{len(self.classes)} class names for {self.n_classes} classes")
        get_transform(self.transform)
        return self

    def to_metadata(self) -> dict[str, Any]:
        """Return what a stored file says of its task (the JSON under the key ``moma_task``)."""
        meta: dict[str, Any] = {
            "name": self.name,
            "role": self.role,
            "unit": self.unit,
            "transform": self.transform,
            "property": self.property,
            "family": self.family,
            "extensive": self.extensive,
        }
        if self.kind == "classification":
            meta["kind"] = self.kind
            meta["classes"] = list(self.classes) or self.n_classes
        if self.source is not None and self.source.provider == "matminer":
            meta["matminer"] = " + ".join(part.dataset for part in self.source.parts)
        if self.citation:
            meta["citation"] = self.citation
        if self.note:
            meta["note"] = self.note
        return meta


_STATED = ("role", "kind", "property", "unit", "transform", "extensive", "family", "citation", "note")


def spec_from_metadata(meta: Mapping[str, Any], base: TaskSpec | None = None) -> TaskSpec:
    """Build a spec from a stored file's metadata, which has the last word over ``base``.

    Args:
        meta: the JSON object under ``moma_task``; keys that are not of a spec are ignored.
        base: the catalogue's spec, which fills what the file does not state.

    Raises:
        InputError: the metadata states something impossible, such as an unknown transform.
    """
    values: dict[str, Any] = {} if base is None else dict(base)
    values.update({key: meta[key] for key in _STATED if key in meta})
    if base is None:
        values["name"] = meta.get("name", "")
        values.setdefault("role", "user")
        values.setdefault("property", str(meta.get("name", "")).replace("_", " "))
    if "classes" in meta:
        named = not isinstance(meta["classes"], int)
        values["classes"] = tuple(meta["classes"]) if named else ()
        values["n_classes"] = len(meta["classes"]) if named else meta["classes"]
    try:
        return TaskSpec(**values)
    except (ValidationError, InputError, TypeError) as exc:
        reason = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else str(exc)
        raise InputError(
            f"The task description of {meta.get('name', '?')!r} is not usable: {reason}."
        ) from exc
